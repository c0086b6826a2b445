"""How long a bare machine takes to get the demo environment, beside what people use today; in turns, on one machine.

Each way begins with an empty home and ends when the packages can be imported. ``uv pip install`` and ``pip install``
get the same lock; venv-pack stands for conda-pack, which packs conda environments only. Nothing is removed before the
end: for some minutes after many files were, ext4 makes each new one half a millisecond later, whoever makes it. A way's
CPU time says what it would take where nobody else computes.

``python benchmarks/restore.py --pairs 3 --json restore.json`` (needs uv and an index; a turn fetches some 500 MB,
and uses 3 GB of disk until the end)
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter

from pairs import machine

from tradewind.boot.restore import order, program
from tradewind.model.environment import Environment, Package

ROOT = Path(__file__).resolve().parents[1]
PYTHON = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "uv"
BARE = "/usr/bin:/bin"
IMPORTS = "import bokeh, distributed, matplotlib.pyplot, netCDF4, xarray"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What every way is given."""

    directory: Path
    lock: Path
    environment: Environment
    index: str
    turn: int = 0

    def home(self, name: str) -> Path:
        """Return an empty home of this turn."""
        made = self.directory / f"{name}-{self.turn}"
        made.mkdir()
        return made


def run(words: list[str], home: Path, *, path: str = "", given: str = "") -> str:
    """Run a command as on a machine with that home."""
    environ = {
        **{name: text for name, text in os.environ.items() if not name.startswith(("UV_", "PYTHON", "VIRTUAL_ENV"))},
        "HOME": str(home),
        "PATH": path or f"{Path(UV).parent}:{BARE}",
    }
    done = subprocess.run(words, env=environ, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{words[:4]} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def restore(stage: Stage, home: Path, *, path: str = "", **words: object) -> dict[str, object]:
    """Run our program; return its last line."""
    told = home.parent / "order.json"
    told.write_text(json.dumps(order(stage.environment, files={}, indexes=(stage.index,), **words)))  # type: ignore[arg-type]
    lines = run([PYTHON, "-I", "-S", "-", str(told)], home, path=path, given=program()).splitlines()
    last: dict[str, object] = json.loads(lines[-1])
    return last


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What a way took."""

    seconds: float
    cpu_s: float
    """Of all its processes, in programs and in the kernel."""


def timed(act: Callable[[], object]) -> Taken:
    """Return what ``act`` takes, which runs commands."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), perf_counter()
    act()
    seconds, after = perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Taken(seconds=seconds, cpu_s=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def with_uv(stage: Stage) -> None:
    """Install the lock with uv alone, from nothing."""
    home = stage.home("uv")
    run([UV, "venv", "-q", "-p", PYTHON, f"{home}/env"], home)
    words = ["pip", "install", "-q", "--no-deps", "--only-binary", ":all:", "--default-index", stage.index]
    run([UV, *words, "-p", f"{home}/env/bin/python", "-r", str(stage.lock)], home)


def with_pip(stage: Stage) -> None:
    """Install the lock with pip, from nothing."""
    home = stage.home("pip")
    run([PYTHON, "-m", "venv", f"{home}/env"], home)
    words = ["-q", "--no-deps", "--no-cache-dir", "--index-url", stage.index, "-r", str(stage.lock)]
    run([f"{home}/env/bin/python", "-m", "pip", "install", *words], home)


def turn(stage: Stage, tools: Path) -> Iterator[tuple[str, Taken]]:
    """Take each way once."""
    archive = stage.directory / f"ours-{stage.turn}.tar.gz"
    yield "`uv pip install`, nothing cached", timed(lambda: with_uv(stage))
    ours = stage.home("ours")
    yield "restore, nothing cached", timed(lambda: restore(stage, ours))
    bare = stage.home("bare")
    yield "restore, and no uv on the machine", timed(lambda: restore(stage, bare, path=BARE))
    done = str(restore(stage, ours)["done"])
    yield "restore, environment present", timed(lambda: restore(stage, ours))
    Path(done).rename(ours / "first")
    yield "restore, uv's cache warm", timed(lambda: restore(stage, ours))
    yield "first import after it", timed(lambda: run([f"{done}/bin/python", "-c", IMPORTS], ours))
    told: dict[str, object] = {}
    yield (
        "packing it, in the background",
        timed(lambda: told.update(restore(stage, ours, task="pack", publish=str(archive)))),
    )
    other = stage.home("other")
    words = {"archive": str(archive), "archive_sha256": told["sha256"]}
    got: dict[str, object] = {}
    yield (
        "restore from the packed environment",
        timed(lambda: got.update(restore(stage, other, path=BARE, **words))),
    )
    if got["way"] != "archive":
        raise RuntimeError(f"the archive wasn't used: {got}")
    yield "first import after it, packed", timed(lambda: run([str(got["python"]), "-c", IMPORTS], other))
    yield "`pip install -r`, nothing cached", timed(lambda: with_pip(stage))
    theirs = stage.directory / f"theirs-{stage.turn}.tar.gz"
    env = stage.directory / f"pip-{stage.turn}" / "env"
    pack = [f"{tools}/bin/python", "-m", "venv_pack", "-q", "-p", str(env), "-o", str(theirs)]
    yield "venv-pack, packing", timed(lambda: run(pack, tools))
    out = stage.home("theirs")
    yield "venv-pack, unpacking with tar", timed(lambda: run(["tar", "xzf", str(theirs), "-C", str(out)], out))
    yield "first import after it, venv-pack", timed(lambda: run([f"{out}/bin/python", "-c", IMPORTS], out))


def prepared(directory: Path) -> tuple[Stage, Path]:
    """Lock the demo environment, and install venv-pack beside."""
    asked = subprocess.run(
        [sys.executable, "-c", "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"],
        capture_output=True,
        text=True,
        check=True,
    )
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    index = told.stdout.strip() or asked.stdout.strip()
    lock = directory / "lock.txt"
    words = [UV, "pip", "compile", "-q", "--extra", "demo", "--default-index", index, "-p", PYTHON, "-o", str(lock)]
    subprocess.run([*words, str(ROOT / "pyproject.toml")], check=True, capture_output=True)
    pins = re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.MULTILINE)
    environment = Environment(
        python=sys.version.split()[0],
        platform="linux-x86_64",
        packages=tuple(Package(name=name, version=version) for name, version in pins),
        content_hash=hashlib.sha256(lock.read_bytes()).hexdigest(),
    )
    tools = directory / "tools"
    subprocess.run([UV, "venv", "-q", "-p", PYTHON, tools], check=True)
    words = [UV, "pip", "install", "-q", "-p", f"{tools}/bin/python", "--default-index", index]
    subprocess.run([*words, "venv-pack", "setuptools<80"], check=True)
    return Stage(directory=directory, lock=lock, environment=environment, index=index), tools


def main() -> None:
    """Take turns, report."""
    parser = argparse.ArgumentParser(description="Seconds until a bare machine has the demo environment.")
    parser.add_argument("--pairs", type=int, default=3, help="how often each way is taken (default 3)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    where = machine()
    taken: dict[str, list[Taken]] = {}
    with tempfile.TemporaryDirectory(prefix="tradewind-restore-") as directory:
        stage, tools = prepared(Path(directory))
        for number in range(options.pairs):
            for name, one in turn(replace(stage, turn=number), tools):
                taken.setdefault(name, []).append(one)
        files = [path for path in Path(directory, "bare-0").rglob("site-packages/**/*") if path.is_file()]
        unpacked = sum(path.stat().st_size for path in files)
        sizes = {name: Path(directory, f"{name}-0.tar.gz").stat().st_size for name in ("ours", "theirs")}
    print(f"\n{where}\n\n{len(stage.environment.packages)} packages, {unpacked / 1e6:,.0f} MB; ", end="")
    print(f"packed {sizes['ours'] / 1e6:,.0f} MB, by venv-pack {sizes['theirs'] / 1e6:,.0f} MB\n")
    print("| way | median | from | to | CPU, least |\n|---|--:|--:|--:|--:|")
    for name, ones in taken.items():
        seconds, cpu = [one.seconds for one in ones], min(one.cpu_s for one in ones)
        figures = (statistics.median(seconds), min(seconds), max(seconds), cpu)
        print(f"| {name} | {' | '.join(f'{figure:.2f} s' for figure in figures)} |")
    if options.json:
        written = {name: [asdict(one) for one in ones] for name, ones in taken.items()}
        options.json.write_text(json.dumps({"machine": where, "taken": written, "packed": sizes}, indent=1))


if __name__ == "__main__":
    main()
