"""A scientist's computer for tests: conda, an editable project, a repository, a private index, a file of one's own."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hosts.bare import GATEWAY, BareHosts
from tests.hosts.channel import Channel
from tests.hosts.index import add_wheel, served

ROOT = Path(__file__).parents[2]
SECRET = "harbour:kept-to-ourselves"
PROJECT = """
[build-system]
requires = ["setuptools>=61"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "{version}"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """An environment of its own, and a home that nothing else uses."""

    prefix: Path
    home: Path
    work: Path
    """The working directory; ``my_science.py`` lies in it."""
    editable: Path
    """The project ``driftwood``, installed editable."""
    index: str
    """Of the private packages, with the password."""

    def run(self, program: str, *, timeout_s: float = 300) -> dict[str, object]:
        """Run a program there and return what it printed last, one line of JSON."""
        done = self.try_run(program, timeout_s=timeout_s)
        assert done.returncode == 0, done.stderr[-6000:]
        return json.loads(done.stdout.splitlines()[-1])

    def try_run(self, program: str, *, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a program there, whatever comes of it."""
        path = self.work / "program.py"
        path.write_text(program)
        return subprocess.run(
            [self.prefix / "bin" / "python", path],
            cwd=self.work,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    @property
    def environ(self) -> Mapping[str, str]:
        """Variables of whoever works there."""
        kept = ("PATH", "LANG", "SSL_CERT_FILE", "PIP_CERT")
        return {name: os.environ[name] for name in kept if name in os.environ} | {
            "HOME": str(self.home),
            "TRADEWIND_CONFIG_DIR": str(self.home),
            # What this machine has set for its own packages is not what the caller has set.
            "PIP_CONFIG_FILE": os.devnull,
            "UV_INDEX": f"harbour={self.index}",
        }


@contextmanager
def caller(hosts: BareHosts, root: Path, *, has_conda: bool = True) -> Iterator[Caller]:
    """Make that computer below ``root``; its channel is served for as long as the block runs.

    Without conda its Python is that of the machine, as the hosts have it.
    """
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    if not Path(uv).exists():
        pytest.skip("a caller's environment is made with uv, which isn't installed")
    prefix, home, work = root / "env", root / "home", root / "work"
    home.mkdir(parents=True)
    work.mkdir()
    with ExitStack() as stack:
        if has_conda:
            channel = Channel(root / "channel")
            channel.add_python()
            channel.add_module("tidemark", "1.2.0", "def level():\n    return 42\n")
            address, _ = stack.enter_context(served(channel.root, GATEWAY))
            asyncio.run(_install_conda(address, prefix))
        else:
            subprocess.run([uv, "venv", "-q", "--python", "/usr/bin/python3", prefix], check=True)
        add_wheel(root / "private", "harbour_master", "0.4.0", "def berth():\n    return 7\n")
        private, _ = stack.enter_context(served(root / "private", GATEWAY, secret=SECRET))
        editable = _project(root / "driftwood", "driftwood", "0.1.0", "def drift():\n    return 'as edited'\n")
        repository = _project(root / "keelson", "keelson", "2.0.0", "def keel():\n    return 'laid'\n")
        for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "Lay the keel"]):
            subprocess.run(["git", "-C", repository, *_NOBODY, *words], check=True)
        index = private.replace("http://", f"http://{SECRET}@") + "/simple"
        for wanted in (
            [f"{ROOT}[demo,software,ssh]", "-e", str(editable), f"keelson @ git+file://{repository}"],
            ["--index", index, "harbour-master"],
        ):
            subprocess.run(
                [uv, "pip", "install", "-q", "--python", prefix / "bin" / "python", *wanted],
                check=True,
                timeout=300,
            )
        (work / "my_science.py").write_text("def answer(x):\n    return x + 1\n")
        (home / "config.toml").write_text(hosts.settings())
        yield Caller(prefix=prefix, home=home, work=work, editable=editable, index=index)


_NOBODY = ("-c", "user.name=Nobody", "-c", "user.email=nobody@example.org")


async def _install_conda(channel: str, prefix: Path) -> None:
    import rattler

    specs = [f"python ={sys.version_info.major}.{sys.version_info.minor}", "tidemark"]
    records = await rattler.solve(sources=[channel], specs=specs, platforms=["linux-64", "noarch"], virtual_packages=[])
    await rattler.install(records, target_prefix=prefix, show_progress=False)


def _project(directory: Path, name: str, version: str, source: str) -> Path:
    (directory / name).mkdir(parents=True)
    (directory / "pyproject.toml").write_text(PROJECT.format(name=name, version=version))
    (directory / name / "__init__.py").write_text(source)
    return directory
