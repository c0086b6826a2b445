"""A bare machine in a directory: a home of its own, the system's Python, and nothing of ours."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.boot.restore.index import Index
from tradewind.boot.restore import order, program
from tradewind.model.environment import Artifact, Environment, Package

MINOR = f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(kw_only=True)
class Machine:
    """Where the program runs."""

    home: Path
    index: Index
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        return self.home / ".cache" / "tradewind"

    def directory(self, environment: Environment) -> Path:
        return self.cache / "environments" / environment.content_hash

    def start(self, environment: Environment, **words: Any) -> subprocess.Popen[str]:
        """Start the program, with its order in a file beside the home."""
        words.setdefault("indexes", (f"{self.index.url}/simple",))
        words.setdefault("files", {})
        place = Path(tempfile.mkdtemp(dir=self.home.parent))  # another one may be reading its own just now
        told = place / "order.json"
        told.write_text(json.dumps(order(environment, **words)))
        text = place / "program.py"
        text.write_text(program())
        uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        tools = [str(Path(uv).parent)] if uv else []
        base = Path(sys.base_prefix) / "bin"
        environ = {
            "PATH": ":".join([*tools, str(base), "/usr/bin", "/bin"]),
            "HOME": str(self.home),
            "UV_HTTP_TIMEOUT": "5",
            "UV_HTTP_RETRIES": "1",
            **self.environ,
        }
        return subprocess.Popen(
            [str(base / f"python{MINOR}"), "-I", "-S", str(text), str(told)],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, environment: Environment, **words: Any) -> list[dict[str, Any]]:
        """Run the program to its end; return what it said."""
        return said(self.start(environment, **words))


def said(process: subprocess.Popen[str]) -> list[dict[str, Any]]:
    text, _ = process.communicate(timeout=100)
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert len(lines) == len(text.splitlines()), f"something else was said: {text}"
    assert (process.returncode == 0) == ("done" in lines[-1] and "step" not in lines[-1]), text
    return lines


def environment(*packages: Package, artifacts: tuple[Artifact, ...] = (), python: str = "") -> Environment:
    """Return an environment with a hash of its own."""
    made = Environment(
        python=python or f"{MINOR}.0",
        platform="linux-x86_64",
        packages=packages,
        content_hash="",
        artifacts=artifacts,
    )
    return replace(made, content_hash=hashlib.sha256(repr(made).encode()).hexdigest())


def pins(*names: str) -> tuple[Package, ...]:
    return tuple(Package(name=name, version="1.0") for name in names)
