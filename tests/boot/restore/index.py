"""A small package index on loopback that can be told to fail, and what else a bare machine meets."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import threading
import time
import zipfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def wheel(name: str, version: str = "1.0", tag: str = "py3-none-any", size: int = 1000) -> tuple[str, bytes]:
    """Return file name and bytes of a wheel with one module, which holds ``size`` bytes that no packer makes less."""
    module = name.replace("-", "_")
    facts = f"{module}-{version}.dist-info"
    noise = base64.b64encode(os.urandom(size * 3 // 4)).decode()
    files = {
        f"{module}.py": f"version = {version!r}\nnoise = {noise!r}\n".encode(),
        f"{facts}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{facts}/WHEEL": f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n".encode(),
    }
    lines = []
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(text)}")
    files[f"{facts}/RECORD"] = "\n".join([*lines, f"{facts}/RECORD,,"]).encode() + b"\n"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return f"{module}-{version}-{tag}.whl", packed.getvalue()


@dataclass(kw_only=True)
class Index:
    """What the index has, and how it fails."""

    url: str = ""
    wheels: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    plain: dict[str, bytes] = field(default_factory=dict)
    """Other files, by path; a PUT writes them."""
    cut: set[str] = field(default_factory=set)
    """Packages whose files break off in the middle."""
    changed: set[str] = field(default_factory=set)
    """Packages whose files come with a wrong byte."""
    locked: set[str] = field(default_factory=set)
    """Packages that ask for a password."""
    delay_s: float = 0.0
    """Before each file."""
    asked: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, version: str = "1.0", tag: str = "py3-none-any", size: int = 1000) -> None:
        self.wheels.setdefault(name, []).append(wheel(name, version, tag, size))

    @property
    def files(self) -> dict[str, tuple[str, bytes]]:
        return {file: (name, text) for name, files in self.wheels.items() for file, text in files}


@contextmanager
def serving(host: str = "127.0.0.1") -> Iterator[Index]:
    """Serve an index until the block ends, on an address of this machine."""
    index = Index()

    class Answer(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_PUT(self) -> None:
            index.plain[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(b"")

        def do_GET(self) -> None:
            index.asked[self.path] += 1
            place, _, name = self.path.strip("/").partition("/")
            if place == "simple" and name.strip("/") in index.locked:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.send_header("Content-Length", "0")
                self.end_headers()
            elif place == "simple" and name.strip("/") in index.wheels:
                self.answer(page(index, name.strip("/")), "application/vnd.pypi.simple.v1+json")
            elif place == "files" and name in index.files:
                time.sleep(index.delay_s)
                self.file(*index.files[name])
            elif self.path.partition("?")[0] in index.plain:
                self.answer(index.plain[self.path.partition("?")[0]])
            else:
                self.send_error(404)

        def file(self, name: str, text: bytes) -> None:
            if name in index.changed:
                text = text[:200] + bytes([text[200] ^ 1]) + text[201:]
            if name not in index.cut:
                return self.answer(text)
            self.send_response(200)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text[: len(text) // 2])
            self.close_connection = True
            return None

        def answer(self, text: bytes, kind: str = "application/octet-stream") -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text)

    server = ThreadingHTTPServer((host, 0), Answer)
    index.url = f"http://{host}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()


def page(index: Index, name: str) -> bytes:
    """Return the index page of a package, as JSON."""
    files = [
        {"filename": file, "url": f"/files/{file}", "hashes": {"sha256": hashlib.sha256(text).hexdigest()}}
        for file, text in index.wheels[name]
    ]
    return json.dumps({"meta": {"api-version": "1.0"}, "name": name, "files": files}).encode()
