"""What a bare machine does with logins in addresses: it uses them where they belong, and tells nobody."""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tradewind.boot.restore.addresses import bare, login_in, with_login_of, without_passwords
from tradewind.boot.restore.fetch import fetched, opened
from tradewind.boot.restore.report import CantRestore
from tradewind.boot.restore.tools import find_uv


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://user:pa55@host/simple now", "see https://***@host/simple now"),
        ("https://user:pa55/w@rd#1@host/simple", "https://***@host/simple"),
        ("https://host/t/tk-123/channel and https://host/simple", "https://host/t/***/channel and https://host/simple"),
        ("https://dl.cloudsmith.io/k3y/lab/repo/simple", "https://dl.cloudsmith.io/***/lab/repo/simple"),
        ("git+https://host/group/code.git@v1.0", "git+https://host/group/code.git@v1.0"),
        ("git+https://tok@host/group/code.git@v1.0", "git+https://***@host/group/code.git@v1.0"),
        ('{"reason": "no https://u:p@host/x"}', '{"reason": "no https://***@host/x"}'),
        ("nothing to hide: a@b and 1 // 2", "nothing to hide: a@b and 1 // 2"),
        ("http://127.0.0.1:8080/files/a-1.0.whl?page=2", "http://127.0.0.1:8080/files/a-1.0.whl?page=2"),
    ],
)
def test_what_is_secret_in_an_address_is_not_told(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


@pytest.mark.parametrize(
    "url", ["https://u:p@host/simple", "https://u:p/q@r#s@host/simple", "https://host/t/secret/simple"]
)
def test_texts_hide_all_of_an_address_that_the_bare_one_leaves_out(url: str) -> None:
    assert without_passwords(url).replace("***@", "") == bare(url)


def test_a_login_is_read_as_it_was_written() -> None:
    assert login_in("https://me:p%40ss%2Fword@host:8080/simple/uv/") == (
        "https://host:8080/simple/uv/", "me", "p@ss/word"
    )  # fmt: skip
    assert login_in("https://token@host/simple")[1:] == ("token", "")
    assert login_in("https://host/simple") == ("https://host/simple", "", "")


@pytest.mark.parametrize(
    ("named", "asked"),
    [
        ("https://host/files/uv.whl", "https://me:pw@host/files/uv.whl"),
        ("https://other/files/uv.whl", "https://other/files/uv.whl"),
        ("http://host/files/uv.whl", "http://host/files/uv.whl"),
        ("https://you:x@host/files/uv.whl", "https://you:x@host/files/uv.whl"),
    ],
)
def test_files_of_a_page_are_asked_for_with_its_login_on_its_host_alone(named: str, asked: str) -> None:
    assert with_login_of("https://me:pw@host/simple/uv/", named) == asked


@contextmanager
def guarded(to: str = "") -> Iterator[tuple[str, list[str]]]:
    """Serve to who logs in as me; ``/moved`` leads elsewhere on this host, ``/away`` to another."""
    heard: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            login = self.headers.get("Authorization", "")
            heard.append(login)
            target = {"/moved": "/there", "/away": to}.get(self.path)
            expected = f"Basic {base64.b64encode(b'me:p@ss').decode()}"
            code = 401 if to and login != expected else 302 if target else 200
            self.send_response(code)
            if target and code == 302:
                self.send_header("Location", target)
            self.send_header("Content-Length", "5" if code == 200 else "0")
            self.end_headers()
            self.wfile.write(b"hello" if code == 200 else b"")

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", heard
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.parametrize("path", ["there", "moved", "away"])
def test_a_login_goes_to_its_own_host_and_to_no_other(path: str) -> None:
    with guarded() as (other, overheard), guarded(f"http://{other}/there") as (host, _):
        with opened(f"http://me:p%40ss@{host}/{path}") as answer:
            assert answer.read() == b"hello"
        assert overheard == ([""] if path == "away" else [])


def test_a_refused_login_is_not_told(tmp_path: Path) -> None:
    with guarded("http://nowhere/") as (host, _), pytest.raises(CantRestore) as refused:
        fetched(f"http://me:wr0ng@{host}/there", str(tmp_path), "there")
    assert refused.value.code == "password"
    assert "wr0ng" not in str(refused.value)


@pytest.mark.parametrize("login", ["me:wr0ng", "me:wr0ng/x", "me:wr0ng#x", "wr0ng:1/x@y"])
def test_an_index_that_gives_no_uv_is_told_without_its_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    with guarded("http://nowhere/") as (host, _), pytest.raises(CantRestore) as refused:
        find_uv(str(tmp_path), "", [f"http://{login}@{host}/simple"])
    assert refused.value.code == "no_uv"
    assert f"http://{host}/simple" in str(refused.value)
    assert "wr0ng" not in str(refused.value)
