"""Making an environment of what indexes and channels have: all of it but the caller's own code."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tradewind.boot.restore.conda import install_conda
from tradewind.boot.restore.packages import Making, ask_uv, install_pins, uv_environ
from tradewind.boot.restore.tools import find_python


def install_listed(making: Making) -> None:
    """Make the environment in its directory, with Python and all packages that didn't travel."""
    packages = [package for package in making.environment["packages"] if not package.get("artifact")]
    conda = [package for package in packages if package.get("source") == "conda"]
    if conda:
        with making.report.step("conda", of=len(conda)):
            install_conda(making, conda)
    else:
        with making.report.step("python"):
            environ = uv_environ(making.cache)
            python = find_python(str(making.environment["python"]), making.uv, environ, making.timeout_s)
            words = ["venv", "--no-config", "--no-project", "--relocatable", "--python", python, making.directory]
            ask_uv(making, words, "making the environment")
    pins = [package for package in packages if package.get("source") != "conda"]
    with making.report.step("packages", of=len(pins)):
        install_pins(making, pins)


def has_conda(environment: Mapping[str, Any]) -> bool:
    """Whether its files name the directory that they lie in, as conda's do: it can't be moved."""
    return any(package.get("source") == "conda" for package in environment["packages"])


def share_compiled(there: str, here: str) -> None:
    """Let an environment have what Python has compiled in another one, of files that are the same on the disk."""
    for place, _, files in os.walk(os.path.join(there, "lib")):
        if os.path.basename(place) != "__pycache__":
            continue
        sources = os.path.dirname(place)
        mine = os.path.join(here, os.path.relpath(sources, there))
        for name in files:
            source = name.partition(".")[0] + ".py"
            # Another file of that name, size and time would do for Python, and might be other code.
            with suppress(OSError):
                if name.endswith(".pyc") and os.path.samefile(
                    os.path.join(sources, source), os.path.join(mine, source)
                ):
                    os.makedirs(os.path.join(mine, "__pycache__"), exist_ok=True)
                    os.link(os.path.join(place, name), os.path.join(mine, "__pycache__", name))
