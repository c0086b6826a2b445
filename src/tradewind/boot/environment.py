"""The software of the Python that is running."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from functools import cache
from importlib.metadata import distributions

from tradewind.model.environment import Environment


@cache
def capture() -> Environment:
    """Return the caller's Python, platform and packages; names and versions alone, some milliseconds per hundred."""
    found: dict[str, str] = {}
    for distribution in distributions():
        name = distribution.metadata["Name"]
        if name:  # a broken installation can leave one without
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    packages = tuple(sorted(found.items()))
    python = platform.python_version()
    where = f"{sys.platform}-{platform.machine()}"
    text = "\n".join([python, where, *(f"{name}=={version}" for name, version in packages)])
    return Environment(
        python=python, platform=where, packages=packages, content_hash=hashlib.sha256(text.encode()).hexdigest()
    )
