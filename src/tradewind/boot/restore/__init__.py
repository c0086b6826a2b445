"""What makes a bare machine ready: a program of the standard library alone, sent as text and run by its own Python.

The other files of this room are its parts. They import nothing of ours but each other, run on Python 3.9, and
:func:`program` joins them into one text, so that a machine needs one file and no packages.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache
from pathlib import Path

from tradewind.boot.restore.addresses import PYPI
from tradewind.model.environment import Environment

PARTS = (
    "addresses",
    "report",
    "fetch",
    "tools",
    "refusal",
    "packages",
    "conda",
    "verify",
    "archive",
    "place",
    "install",
    "ahead",
    "prune",
    "packed",
    "run",
)
"""In the order in which they are joined: each imports only from those before it."""
FIRST = """
import sys

if sys.version_info < (3, 9):
    facts = sys.version_info[:2] + (sys.executable,)
    reason = "This machine begins with Python %d.%d (%s), and 3.9 or newer is needed. Name a newer one." % facts
    sys.stdout.write('{"failed": "no_python", "reason": "%s", "detail": ""}\\n' % reason)
    sys.exit(1)
"""
"""The rest is text to it, so that a Python too old to read the rest can still say so."""


@cache
def program() -> str:
    """Return the program as one text: run it as ``python3 -I -S - < text``, or from a file.

    It reads an order (:func:`order`) as JSON from the file that is its first argument, or else from standard input,
    and answers with one JSON object a line on standard output: ``{"step": …}`` while it goes on, and at the end
    ``{"done": directory, "python": …, "way": "present" | "archive" | "install", "seconds": {…}}`` with exit code 0,
    or ``{"failed": code, "reason": sentence, "detail": last lines}`` with another one.
    """
    texts = [(Path(__file__).parent / f"{part}.py").read_text(encoding="utf-8") for part in PARTS]
    rest = "\n\n\n".join(("from __future__ import annotations", *(_alone(text) for text in texts), "main()\n"))
    return f"{FIRST}exec(compile({rest!r}, 'tradewind-restore', 'exec'))\n"


def order(
    environment: Environment,
    *,
    files: Mapping[str, str],
    archive: str = "",
    archive_sha256: str = "",
    publish: str = "",
    record: str = "",
    cache: str = "",
    indexes: tuple[str, ...] = (),
    task: str = "restore",
    **limits: float | str,
) -> dict[str, object]:
    """Return what :func:`program` is told, ready for JSON.

    Parameters
    ----------
    environment : Environment
        What the machine shall have.
    files : mapping
        Where each artifact is read, by its sha256: ``https://…``, or an absolute path on that machine. A file
        ``uv``, where there is one, is a wheel of uv for that machine.
    archive : str
        Where the packed environment lies already, an address or a path; tried first.
    archive_sha256 : str
        Of it; without it, it isn't used.
    publish : str
        Where task ``pack`` puts it: an address that takes a PUT, or a path in a directory that is there.
    record : str
        Where it then writes of what it has put there: a JSON object with ``name``, ``sha256``, ``size`` and ``files``.
    cache : str
        Directory on the machine; default ``~/.cache/tradewind``.
    indexes : tuple of str
        In place of the environment's, the first one first.
    task : str
        ``restore``, ``pack`` for later, when nothing waits, or ``ahead`` for what isn't the caller's own of an
        environment that is yet to be ordered: its ``base``.
    **limits : float or str
        ``timeout_s`` (3600) of one step, ``keep_days`` (14) and ``keep_bytes`` (20 GB) of what is unused in the cache,
        ``name``, which goes into the record, and ``base``, the hash of the packages that aren't the caller's own: what
        is packed is of those, and of everything without it.
    """
    return {
        "environment": asdict(environment),
        "files": dict(files),
        "archive": archive,
        "archive_sha256": archive_sha256,
        "publish": publish,
        "record": record,
        "cache": cache,
        "indexes": list(indexes),
        "usual_index": PYPI,
        "task": task,
        **limits,
    }


def _alone(text: str) -> str:
    """Return a part without the lines that a joined text must not have: imports of the other parts."""
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("tradewind.", "__future__")):
            for line in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[line] = ""
    return "\n".join(lines).strip("\n")
