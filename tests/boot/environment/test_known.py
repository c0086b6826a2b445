"""A package counts as the usual index's if that has the very same, not one of the same name."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.boot.environment.projects import distribution
from tradewind.boot.environment.known import JSON_PAGE, NO_LASTS_S, known_to, lacked_by
from tradewind.boot.environment.sources import Installed, look


@dataclass
class Index:
    """A package index on this machine."""

    address: str = ""
    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    status: int = 200
    kind: str = JSON_PAGE
    login: str = ""
    """What must stand in the header ``Authorization``."""

    def has(self, name: str, metadata: bytes) -> None:
        file = {"filename": f"{name}-1.0.whl", "core-metadata": {"sha256": hashlib.sha256(metadata).hexdigest()}}
        self.pages[name] = json.dumps({"files": [{"filename": "old.tar.gz"}, file]}).encode()


@pytest.fixture
def index() -> Iterator[Index]:
    one = Index()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.strip("/").rpartition("/")[2]
            one.asked.append(name)
            if self.headers.get("Authorization", "") != one.login:
                self.send_error(401)
                return
            body = gzip.compress(one.pages.get(name, b""))
            self.send_response(one.status if name in one.pages else 404)
            self.send_header("Content-Type", one.kind)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *words: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    one.address = f"http://127.0.0.1:{server.server_address[1]}/simple"
    yield one
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def tool(tmp_path: Path) -> Installed:
    distribution(tmp_path / "site", "tool")
    (one,) = look([str(tmp_path / "site")], str(tmp_path)).installed
    return one


def test_the_same_metadata_is_the_same_package(index: Index, tool: Installed, tmp_path: Path) -> None:
    index.has("tool", (tool.directory / "METADATA").read_bytes())

    assert known_to([tool], tmp_path, index=index.address) == {"tool"}


def test_somebody_elses_package_of_the_same_name_and_version_is_not_ours(
    index: Index, tool: Installed, tmp_path: Path
) -> None:
    index.has("tool", b"Name: tool\nVersion: 1.0\nAuthor: somebody else\n")

    assert known_to([tool], tmp_path, index=index.address) == frozenset()


def test_a_yes_is_asked_once_and_a_no_again_after_a_week(index: Index, tool: Installed, tmp_path: Path) -> None:
    now = [1e9]

    def ask() -> frozenset[str]:
        return known_to([tool], tmp_path, index=index.address, clock=lambda: now[0])

    assert ask() == frozenset()
    index.has("tool", (tool.directory / "METADATA").read_bytes())
    now[0] += NO_LASTS_S - 1
    assert ask() == frozenset()
    assert len(index.asked) == 1
    now[0] += 2
    assert ask() == {"tool"}
    now[0] += 1e9
    assert ask() == {"tool"}
    assert len(index.asked) == 2


@pytest.mark.parametrize(
    ("status", "kind", "page"),
    [(503, JSON_PAGE, b"{}"), (200, "text/html", b"<html>"), (200, JSON_PAGE, b"{"), (200, JSON_PAGE, b"[]")],
)
def test_an_index_that_does_not_answer_as_one_knows_nothing(
    status: int, kind: str, page: bytes, index: Index, tool: Installed, tmp_path: Path
) -> None:
    said: list[str] = []
    index.status, index.kind, index.pages["tool"] = status, kind, page

    assert known_to([tool], tmp_path, index=index.address, say=said.append) == frozenset()
    assert len(said) == (page != b"[]")


def test_no_index_at_all_is_said(tool: Installed, tmp_path: Path) -> None:
    said: list[str] = []

    assert known_to([tool], tmp_path, index="http://127.0.0.1:9/simple", say=said.append) == frozenset()
    assert "http://127.0.0.1:9/simple doesn't say" in said[0]


def test_what_a_private_index_never_heard_of_came_from_elsewhere(index: Index, tool: Installed, tmp_path: Path) -> None:
    assert lacked_by([tool], tmp_path, {index.address: index.address}) == {"tool"}


def test_a_name_that_a_private_index_has_may_be_of_it_whatever_others_have(
    index: Index, tool: Installed, tmp_path: Path
) -> None:
    index.has("tool", b"another one")

    assert lacked_by([tool], tmp_path, {index.address: index.address}) == frozenset()


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_private_index_that_does_not_say_may_have_everything(
    status: int, index: Index, tool: Installed, tmp_path: Path
) -> None:
    index.status, index.pages["tool"] = status, b""

    assert lacked_by([tool], tmp_path, {index.address: index.address}) == frozenset()


def test_of_two_private_indexes_both_must_lack_it(index: Index, tool: Installed, tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9/simple"

    assert lacked_by([tool], tmp_path, {index.address: index.address, nobody: nobody}) == frozenset()


def test_a_private_index_is_asked_with_its_password_which_is_kept_nowhere(
    index: Index, tool: Installed, tmp_path: Path
) -> None:
    index.login = "Basic bWU6c28vc2VjcmV0"  # me:so/secret
    written = index.address.replace("http://", "http://me:so%2Fsecret@")

    assert lacked_by([tool], tmp_path / "a", {index.address: index.address}) == frozenset()
    assert lacked_by([tool], tmp_path / "b", {index.address: written}) == {"tool"}
    asked = len(index.asked)
    assert lacked_by([tool], tmp_path / "b", {index.address: written}) == {"tool"}
    assert len(index.asked) == asked, "remembered for a week"
    kept = [path for path in (tmp_path / "b").rglob("*") if path.is_file()]
    assert kept
    assert not any("secret" in path.name + path.read_text() for path in kept)
