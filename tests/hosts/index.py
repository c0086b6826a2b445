"""Files over HTTP, for anybody or for who has the password: a conda channel, or a private package index."""

from __future__ import annotations

import base64
import hashlib
import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class _Files(SimpleHTTPRequestHandler):
    def __init__(self, *args: object, secret: str | None, asked: list[str], **kwargs: object) -> None:
        self._secret = secret
        self._asked = asked
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._asked.append(self.path)
        if self._secret is not None:
            expected = f"Basic {base64.b64encode(self._secret.encode()).decode()}"
            if self.headers.get("Authorization") != expected:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="private"')
                self.end_headers()
                return
        super().do_GET()

    do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        del format, args


@contextmanager
def served(root: Path, host: str, *, secret: str | None = None) -> Iterator[tuple[str, list[str]]]:
    """Serve a directory while the block runs.

    Yields
    ------
    str
        Its address, ``http://host:port``.
    list of str
        The paths that were asked for up to now.
    """
    asked: list[str] = []
    server = ThreadingHTTPServer((host, 0), partial(_Files, directory=str(root), secret=secret, asked=asked))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def muted(host: str) -> Iterator[str]:
    """Take questions and never answer: what is made with it goes on being made. Yields host and port."""
    with socket.create_server((host, 0), backlog=50) as server:
        yield f"{host}:{server.getsockname()[1]}"


def add_wheel(root: Path, name: str, version: str, source: str) -> Path:
    """Add a wheel of one module to a package index (PEP 503) in ``root``."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [f"{path},sha256={_digest(text)},{len(text.encode())}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*record, f"{info}/RECORD,,"]) + "\n"
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
    file_name = f"{name}-{version}-py3-none-any.whl"
    directory = root / "simple" / name.replace("_", "-")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / file_name).write_bytes(data.getvalue())
    sha256 = hashlib.sha256(data.getvalue()).hexdigest()
    (directory / "index.html").write_text(f'<a href="{file_name}#sha256={sha256}">{file_name}</a>\n')
    return directory / file_name


def _digest(text: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
