"""What a bare machine does with logins in addresses: it uses them where they belong, and tells nobody."""

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tradewind.boot.restore import addresses
from tradewind.boot.restore.addresses import bare, login_in, with_login_of, without_passwords
from tradewind.boot.restore.fetch import fetched, opened
from tradewind.boot.restore.report import CantRestore
from tradewind.boot.restore.tools import find_uv
from tradewind.boot.tls import Authority
from tradewind.planning import addresses as planned


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://user:pa55@host/simple now", "see https://***@host/simple now"),
        ("https://user:pa55/w@rd#1@host/simple", "https://***@host/simple"),
        ("https://host/t/tk-123/channel and https://host/simple", "https://host/t/***/channel and https://host/simple"),
        ("https://dl.cloudsmith.io/k3y/lab/repo/simple", "https://dl.cloudsmith.io/***/lab/repo/simple"),
        ("git+https://host/group/code.git@v1.0", "git+https://host/group/code.git@v1.0"),
        ("git+https://tok@host/group/code.git@v1.0", "git+https://***@host/group/code.git@v1.0"),
        ("git+https://user:pa@ss@host/r@v1", "git+https://***@host/r@v1"),
        ("git+https://user:pa/ss@host/r@v1", "git+https://***@host/r@v1"),
        ("git+https://user:pa/s@s@host/r.git", "git+https://***@host/r.git"),
        ("git+https://user:pa@ss@host/r@v1#subdirectory=a/b", "git+https://***@host/r@v1#subdirectory=a/b"),
        ("git+https://tok@host/r.git@feature/x", "git+https://***@host/r.git@feature/x"),
        ("git+https://tok@host", "git+https://***@host"),
        ("https://dl.cloudsmith.io:443//k3y/lab/repo/simple", "https://dl.cloudsmith.io:443/***/lab/repo/simple"),
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


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("https://host/t/tk-123/channel", planned.TOKEN),
        ("https://host/a/t/tk-123", planned.TOKEN),
        *((f"https://{host}/k3y/lab/repo/simple", planned.TOKEN) for host in sorted(planned.SECRET_HOSTS)),
        ("https://DL.cloudsmith.io:443/k3y/lab/repo/simple", planned.TOKEN),
        ("https://dl.cloudsmith.io//k3y/lab/repo/simple", planned.TOKEN),
        ("https://user:pw@host/simple", planned.LOGIN),
        ("https://user:p/w@host/simple", planned.LOGIN),
        ("https://host/simple?token=x", planned.QUERY),
        ("https://dl.cloudsmith.io/public/lab/repo/simple", ""),
        ("https://dl.cloudsmith.io/basic/lab/repo/simple", ""),
        ("https://dl.cloudsmith.io/lab/repo", ""),
        ("https://host/time/table", ""),
    ],
)
def test_what_a_server_takes_for_a_secret_is_what_machines_leave_out(url: str, secret: str) -> None:
    """The program of bare machines can import nothing of ours, so both sides have these rules."""
    assert planned.secret_in(url) == secret
    assert planned.secret_in(bare(url)) == ""
    assert (bare(url) == url) is not bool(secret)
    assert (addresses.HIDDEN, addresses.SECRET_HOSTS) == (planned.HIDDEN, planned.SECRET_HOSTS)


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
def guarded(to: str = "", kind: type[ThreadingHTTPServer] = ThreadingHTTPServer) -> Iterator[tuple[str, list[str]]]:
    """Serve to who logs in as me; ``/moved`` leads elsewhere on this host, ``/plain`` to http, ``/away`` to another."""
    heard: list[str] = []

    class Answer(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            login = self.headers.get("Authorization", "")
            heard.append(login)
            target = {"/moved": "/there", "/plain": f"http://{self.headers['Host']}/there", "/away": to}.get(self.path)
            expected = f"Basic {base64.b64encode(b'me:p@ss').decode()}"
            code = 401 if to and login != expected else 302 if target else 200
            self.send_response(code)
            if target and code == 302:
                self.send_header("Location", target)
            self.send_header("Content-Length", "5" if code == 200 else "0")
            self.end_headers()
            self.wfile.write(b"hello" if code == 200 else b"")

    server = kind(("127.0.0.1", 0), Answer)
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


class EitherServer(ThreadingHTTPServer):
    """Speaks http and https on one port, so that both are one host."""

    context: ssl.SSLContext

    def get_request(self) -> tuple[Any, Any]:
        connection, address = super().get_request()
        connection.settimeout(10)
        is_https = connection.recv(1, socket.MSG_PEEK) == b"\x16"
        return (self.context.wrap_socket(connection, server_side=True) if is_https else connection), address


@pytest.mark.parametrize("login", ["me:p%40ss@", ""])
def test_a_login_is_never_sent_unencrypted_where_https_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    now = datetime.now(UTC)
    keys = Authority.create("c1", now).issue("host", now, hosts=("127.0.0.1",))
    for name, text in (("ca", keys.authority), ("cert", keys.certificate), ("key", keys.key.reveal())):
        (tmp_path / name).write_text(text)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca"))
    with guarded(kind=EitherServer) as (host, heard):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
        monkeypatch.setattr(EitherServer, "context", context, raising=False)
        if login:
            with pytest.raises(CantRestore, match=f"302 it leads to http://{host}/there, where the login"):
                fetched(f"https://{login}{host}/plain", str(tmp_path), "there")
            assert len(heard) == 1
        else:
            assert Path(fetched(f"https://{host}/plain", str(tmp_path), "there")).read_bytes() == b"hello"
            assert heard == ["", ""]


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
