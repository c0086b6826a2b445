"""What runs on a host before any environment is there: the station and the starter, for its own Python alone.

The other files of this room import nothing of ours but each other, need nothing but the standard library, run on
Python 3.9 on Linux, and are sent as one text over the connection: nothing of them is kept on the host.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

PARTS = ("ground", "facts", "silence", "packing", "starter", "station")
"""In the order in which they are joined: each imports only from those before it."""
CLERK = (*PARTS, "clerk")
"""The same for a login node: of several ``main``, the last one is what runs."""


@cache
def program(parts: tuple[str, ...] = PARTS) -> bytes:
    """Return the text that :data:`~tradewind.host.bare.ground.LOADER` runs; a line of JSON after it says as what."""
    texts = [(Path(__file__).parent / f"{part}.py").read_text(encoding="utf-8") for part in parts]
    return ("from __future__ import annotations\n\n" + "\n\n".join(map(_alone, texts)) + "\n\nmain()\n").encode()


def _alone(text: str) -> str:
    """Return a part without what a joined text must not have: imports of the other parts, and of the future."""
    lines = text.splitlines()
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("tradewind.", "__future__")):
            for line in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[line] = ""
    return "\n".join(lines).strip("\n")
