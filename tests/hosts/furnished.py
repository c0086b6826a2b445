"""An environment on a bare machine without any installing: what this Python has, linked into the machine's home."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest

from tests.hosts.bare import BareHost

ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"
"""Of the bare machine."""
MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"


def furnish(host: BareHost) -> str:
    """Make an environment with Tradewind and what it needs; return its path there. Skips where Pythons differ."""
    version = subprocess.run([PYTHON, "-V"], capture_output=True, text=True, check=True).stdout.split()[1]
    if not version.startswith(f"{MINOR}."):
        pytest.skip(f"bare machines have Python {version}, and compiled packages here are for {MINOR}")
    home, draft = host.home / "env", host.home / "env-draft"
    if not home.exists():
        shutil.rmtree(draft, ignore_errors=True)
        site = draft / "lib" / f"python{MINOR}" / "site-packages"
        site.mkdir(parents=True)
        (draft / "bin").mkdir()
        (draft / "bin" / "python").symlink_to(f"/usr/bin/python{MINOR}")
        (draft / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = false\n")
        for found in _needed():
            _link(found, site)
        shutil.copytree(ROOT / "src" / "tradewind", site / "tradewind", ignore=shutil.ignore_patterns("__pycache__"))
        draft.rename(home)
    host.run("/root/env/bin/python", "-c", "import tradewind.host")  # what the host itself sees of it
    return "/root/env"


def _needed() -> list[Distribution]:
    """Return all that Tradewind itself needs, of what is installed here."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        wanted = list(tomllib.load(file)["project"]["dependencies"])
    found: dict[str, Distribution] = {}
    while wanted:
        line = wanted.pop()
        name = re.split(r"[^\w.-]", line, maxsplit=1)[0].lower()
        if name in found or "extra ==" in line:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            continue  # of another platform, or another Python
        wanted += found[name].requires or ()
    return list(found.values())


def _link(found: Distribution, site: Path) -> None:
    for file in found.files or ():
        source = Path(str(file.locate()))
        if ".." in file.parts or not source.is_file():
            continue
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            continue
        try:
            os.link(source, target)
        except OSError:  # another disk
            shutil.copy(source, target)
