"""The software of the Python that is running."""

from __future__ import annotations

import hashlib
import platform
import re
import sys
from functools import cache
from importlib.metadata import Distribution, distributions

from tradewind.model.environment import Environment, Package


@cache
def capture() -> Environment:
    """Return the caller's Python, platform and packages; names and versions alone, some milliseconds per hundred."""
    found: dict[str, str] = {}
    for distribution in distributions():
        name, version = _identity(distribution)
        if name:  # a broken installation can leave one without
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), version)
    packages = tuple(Package(name=name, version=version) for name, version in sorted(found.items()))
    python = platform.python_version()
    where = f"{sys.platform}-{platform.machine()}"
    text = "\n".join([python, where, *(f"{package.name}=={package.version}" for package in packages)])
    return Environment(
        python=python, platform=where, packages=packages, content_hash=hashlib.sha256(text.encode()).hexdigest()
    )


def _identity(distribution: Distribution) -> tuple[str, str]:
    """Return name and version, from the directory's own name where it says them: opening each file takes 20 times as
    long, and the start of a cluster waits for it."""
    directory = getattr(distribution, "_path", None)
    if directory is not None and directory.name.endswith(".dist-info"):
        name, _, version = directory.name.removesuffix(".dist-info").partition("-")
        if version:
            return name, version
    return distribution.metadata["Name"] or "", distribution.version
