"""Stands at the doors of one process: answers on loopback whoever shows the token, and goes when the process is gone.

It runs as a process of its own, since a task may hold the interpreter's lock while the library it called waits for
these very answers. Standard library alone; it is started by path, and what it answers comes by standard input, as
lines of JSON, so that neither its arguments nor its variables hold a secret.
"""

import contextlib
import hmac
import json
import os
import shutil
import socket
import stat
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LONGEST_BODY = 64 * 1024
GONE_S = 1.0
"""Between two looks whether the process still lives: a child of it may hold its end of the line."""


class Desk:
    """What is answered now; replaced whole, so that no question meets half of it."""

    def __init__(self) -> None:
        self.token = ""
        self.directory = ""
        self.files: dict[str, str] = {}
        self.answers: dict[str, dict[str, Any]] = {}

    def read(self, line: str) -> None:
        """Take a line of the process."""
        said = json.loads(line)
        self.token, self.answers = said["token"], said["answers"]
        self.directory, self.files = said["directory"], said["files"]


def answer_to(desk: Desk, path: str, shown: list[str], now: float) -> tuple[int, dict[str, Any]]:
    """Return the status and the body for a question.

    Parameters
    ----------
    desk : Desk
        What is answered now.
    path : str
        Path and parameters of the question; its first part may be the token.
    shown : list of str
        What stands in the headers that may hold the token.
    now : float
        Seconds of the epoch.
    """
    asked = urlsplit(path)
    first, _, rest = asked.path.lstrip("/").partition("/")
    if _same(first, desk.token):
        where = "/" + rest
    elif any(_same(text.removeprefix("Bearer "), desk.token) for text in shown):
        where = asked.path
    else:
        return 401, _error("Unauthorized", "this door opens to the tasks of its own process alone")
    answer = desk.answers.get(where.rstrip("/"))
    if answer is None:
        return 404, _error("NotForwarded", "credentials of this kind weren't forwarded to this cluster")
    if answer["until"] is not None and now >= answer["until"]:
        return 403, _error("ExpiredCredentials", answer["ended"])
    if answer["only"] is not None:
        name, beginning = answer["only"]
        if not all(text.startswith(beginning) for text in parse_qs(asked.query).get(name, [beginning])):
            return 400, _error("NotForwarded", f"only credentials for {beginning} were forwarded to this cluster")
    body = dict(answer["body"])
    if answer["seconds_left"] is not None:
        body[answer["seconds_left"]] = int(answer["until"] - now) if answer["until"] is not None else 3600
    return 200, body


def restore(desk: Desk) -> None:
    """Write files again that are gone: a system may sweep what a user keeps in memory when the user logs out."""
    if not desk.directory:
        return
    os.makedirs(desk.directory, mode=0o700, exist_ok=True)
    facts = os.lstat(desk.directory)
    if facts.st_uid != os.getuid() or not stat.S_ISDIR(facts.st_mode) or stat.S_IMODE(facts.st_mode) != 0o700:
        return  # somebody else took the name meanwhile
    for name, text in desk.files.items():
        path = os.path.join(desk.directory, name)
        if not os.path.lexists(path):
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(text)


def _same(one: str, other: str) -> bool:
    return bool(other) and hmac.compare_digest(one.encode("utf-8", "replace"), other.encode())


def _error(code: str, message: str) -> dict[str, Any]:
    # Each protocol has its own words for what went wrong; a client shows those it knows.
    return {"code": code, "message": message, "error": code, "error_description": message}


def handler_for(desk: Desk) -> type[BaseHTTPRequestHandler]:
    """Return what answers one question."""

    class Question(BaseHTTPRequestHandler):
        timeout = 30.0

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 <= length <= LONGEST_BODY:
                self.send_error(413)
                return
            self.rfile.read(length)
            shown = [self.headers.get(name, "") for name in ("Authorization", "X-IDENTITY-HEADER")]
            status, body = answer_to(desk, self.path, shown, time.time())
            data = json.dumps(body).encode()
            self.send_response_only(status)
            # Google's clients believe a metadata server by this header alone.
            headers = {"Content-Type": "application/json", "Cache-Control": "no-store", "Metadata-Flavor": "Google"}
            for name, text in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(name, text)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

        do_POST = do_PUT = do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Write nothing down: a path may hold the token."""

    return Question


def main(descriptor: int, parent: int) -> int:
    """Answer on the listening socket ``descriptor`` until standard input ends or ``parent`` is gone."""
    desk = Desk()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler_for(desk), bind_and_activate=False)
    server.socket.close()
    server.socket = socket.socket(fileno=descriptor)
    server.daemon_threads = True

    def listen_to_process() -> None:
        for line in sys.stdin:
            desk.read(line)
            sys.stdout.write("\n")  # taken
            sys.stdout.flush()
            # Only now: a question that comes before the first line waits, and isn't turned away.
            if not server_thread.ident:
                server_thread.start()
        finished.set()

    finished = threading.Event()
    server_thread = threading.Thread(target=server.serve_forever, daemon=True)
    threading.Thread(target=listen_to_process, daemon=True).start()
    while os.getppid() == parent and not finished.wait(GONE_S):
        with contextlib.suppress(OSError):  # the next look tries it again
            restore(desk)
    if desk.directory:
        shutil.rmtree(desk.directory, ignore_errors=True)
    # At once: a daemon thread that stands at the lock of standard input would be waited for.
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
