"""Disks of their own for tests, as small as they want."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path, options: str) -> Iterator[None]:
    """Have a file system of its own at ``place``, as only root can."""
    place.mkdir(parents=True, exist_ok=True)
    words = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
    if os.geteuid() != 0 or subprocess.run(words, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a file system here")
    try:
        yield
    finally:
        # Lazily: what a test has just ended may hold a file for a moment longer.
        subprocess.run(["umount", "-l", str(place)], check=True)
