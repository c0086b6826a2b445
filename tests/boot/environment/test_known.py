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
from tradewind.boot.environment.known import JSON_PAGE, NO_LASTS_S, known_to
from tradewind.boot.environment.sources import Installed, look


@dataclass
class Index:
    """A package index on this machine."""

    address: str = ""
    pages: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    status: int = 200
    kind: str = JSON_PAGE

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
