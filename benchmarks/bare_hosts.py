"""How long until a bare host, reached by SSH, has given a first result, beside what people do today; in turns.

Each way gets a host of its own that never had anything: no package, no uv, no cache. A cluster stops the clock when it
has answered, with the scheduler, the worker and the caller's own code. uv stops it when the environment is installed,
once with the whole lock as the caller has it (a private index, a repository, an editable project, brought to the host
and built there; Tradewind as a wheel), once with the lines alone that the public index has: less than the cluster has.
pip gets the latter; conda-pack packs here, and stops when it is unpacked there. What others get for nothing isn't
counted: the program uv or pip itself, their copies of the projects, a Python that is there.

``--environment plain`` (the default) is a caller with the Python of the hosts, whose lock uv can restore; ``conda`` one
with packages of conda, which uv can't have: its lock is then the rest.

``PYTHONPATH=src:benchmarks:. python benchmarks/bare_hosts.py --pairs 3`` as root (needs uv, an index and git; a turn
fetches some 500 MB)
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter

from pairs import machine
from tests.hosts.bare import BareHost, BareHosts, bare_hosts
from tests.hosts.caller import ROOT, Caller, caller

RIG = Path("/var/tmp/tradewind-bare-hosts-benchmark")
UV = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}") or "uv"
CERTIFICATES = "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"
OURS = "a cluster's first result"
WHOLE = "`uv pip install` of the whole lock"
PUBLIC = "`uv pip install` of its public lines"
PROGRAM = """
import json, time
from tradewind import Cluster
import my_science

if __name__ == "__main__":
    began = time.monotonic()
    with Cluster(provider="ssh", n_workers=1, worker_cpu=1, worker_memory="1 GiB", show_widget=False) as cluster:
        with cluster.get_client() as client:
            assert client.submit(my_science.answer, 41).result(timeout=240) == 42
            first = time.monotonic() - began
    print(json.dumps({"first": first}))
"""


class Ways:
    """What is compared, each on a host that it is given."""

    def __init__(self, hosts: BareHosts, scientist: Caller, tools: Path) -> None:
        self._hosts = hosts
        self._scientist = scientist
        self._tools = tools
        self._lock = scientist.home / "lock.txt"
        self._whole = scientist.home / "whole.txt"
        words = [UV, "pip", "freeze", "--python", scientist.prefix / "bin" / "python"]
        frozen = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
        # Without what no public index has: neither uv nor pip could install it there by itself.
        own = ("driftwood", "harbour-master", "keelson", "tidemark", "tradewind")
        public = [line for line in frozen if "==" in line and not line.startswith(own)]
        self._lock.write_text("\n".join(public))
        # As the scientist has it, with the directories brought to the host. Tradewind is a wheel there, as if of an
        # index: building it is no part of anybody's day. Conda's packages nobody could give to uv.
        self._wheel = self._built(scientist.home / "wheels")
        pinned = [line for line in frozen if line.startswith("harbour-master==")]
        brought = ["-e ./driftwood", "keelson @ git+file:///root/keelson", f"./{self._wheel.name}"]
        self._whole.write_text("\n".join([*public, *pinned, *brought]))

    def cluster(self, host: BareHost) -> float:
        """Return how long a cluster takes from the call to its first result."""
        only = BareHosts(hosts=(host,), key=self._hosts.key, known_hosts=self._hosts.known_hosts)
        (self._scientist.home / "config.toml").write_text(only.settings())
        return float(str(self._scientist.run(PROGRAM)["first"]))

    def uv(self, host: BareHost) -> float:
        """Return how long uv takes with the same lock; the copy of uv itself isn't counted."""
        self._give(host, Path(UV), self._lock)
        install = "uv pip install -q --no-deps -p env/bin/python -r lock.txt"
        return self._timed(host, f"uv venv -q -p /usr/bin/python3 env && {install}")

    def uv_whole(self, host: BareHost) -> float:
        """Return how long uv takes with all of the lock: it builds the projects there. Bringing them isn't counted."""
        self._give(host, Path(UV), self._whole, self._wheel)
        for project in (self._scientist.editable, self._scientist.editable.parent / "keelson"):
            shutil.copytree(project, host.home / project.name, symlinks=True)
        install = f"UV_INDEX={self._scientist.index} uv pip install -q --no-deps -p env/bin/python -r whole.txt"
        return self._timed(host, f"uv venv -q -p /usr/bin/python3 env && {install}")

    def pip(self, host: BareHost) -> float:
        """Return how long pip takes with the same lock; the copy of pip itself isn't counted."""
        self._give(host, Path(UV), self._lock)
        self._ran(host, f"{CERTIFICATES} uv venv -q --seed -p /usr/bin/python3 env")
        return self._timed(host, "env/bin/python -m pip install -q --no-deps -r lock.txt")

    def conda_pack(self, host: BareHost) -> float:
        """Return how long it takes to pack the caller's environment, copy it, unpack it and mend its paths."""
        packed = self._tools / f"{host.name}.tar.gz"
        began = perf_counter()
        words = [
            "--ignore-editable-packages",
            "--ignore-missing-files",
            "-q",
            "-p",
            self._scientist.prefix,
            "-o",
            packed,
        ]
        subprocess.run([self._tools / "bin" / "conda-pack", *words], check=True, capture_output=True)
        reach = ["-q", "-i", self._hosts.key, "-o", f"UserKnownHostsFile={self._hosts.known_hosts}"]
        subprocess.run(["scp", *reach, packed, f"root@{host.address}:env.tar.gz"], check=True)
        self._ran(host, "mkdir env && tar xzf env.tar.gz -C env && env/bin/python env/bin/conda-unpack")
        return perf_counter() - began

    def _built(self, into: Path) -> Path:
        subprocess.run([UV, "build", "-q", "--wheel", "--out-dir", into, ROOT], check=True)
        return next(into.glob("*.whl"))

    def _give(self, host: BareHost, *files: Path) -> None:
        for file in files:
            shutil.copy(file, host.home / file.name)

    def _timed(self, host: BareHost, script: str) -> float:
        began = perf_counter()
        self._ran(host, f"export {CERTIFICATES}; {script}")
        return perf_counter() - began

    def _ran(self, host: BareHost, script: str) -> None:
        host.run("bash", "-c", f"cd /root && export PATH=/root:$PATH && {script}", timeout_s=600)


def main() -> None:
    """Take turns, report."""
    parser = argparse.ArgumentParser(description="Seconds until a bare host is of use.")
    parser.add_argument("--pairs", type=int, default=3, help="how often each way is taken (default 3)")
    parser.add_argument("--environment", choices=("plain", "conda"), default="plain", help="what the caller has")
    parser.add_argument("--megabits", type=int, help="a second that a host's line carries (default: all there is)")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    taken: dict[str, list[float]] = {}
    with (
        bare_hosts(5 * options.pairs, RIG) as hosts,
        tempfile.TemporaryDirectory(prefix="tradewind-caller-") as root,
        caller(hosts, Path(root) / "caller", has_conda=options.environment == "conda") as scientist,
    ):
        tools = Path(root) / "tools"
        subprocess.run([UV, "venv", "-q", tools], check=True)
        subprocess.run(
            [UV, "pip", "install", "-q", "-p", tools / "bin/python", "conda-pack", "setuptools<80"], check=True
        )
        ways = Ways(hosts, scientist, tools)
        each: Mapping[str, Callable[[BareHost], float]] = {
            OURS: ways.cluster,
            WHOLE: ways.uv_whole,
            PUBLIC: ways.uv,
            "`pip install -r` of its public lines": ways.pip,
        }
        if options.environment == "conda":
            each = {**each, "conda-pack: pack, copy, unpack": ways.conda_pack}
        free = iter(hosts.hosts)
        for _ in range(options.pairs):
            for name, way in each.items():
                host = next(free)
                if options.megabits:
                    host.slow_down(options.megabits)
                taken.setdefault(name, []).append(way(host))
                print(f"{name}: {taken[name][-1]:.1f} s", flush=True)
                if way == ways.cluster:
                    taken.setdefault("the same again, on the same host", []).append(way(host))
    report(taken, options.json)


def report(taken: Mapping[str, list[float]], to: Path | None) -> None:
    """Print the table, and keep it."""
    print(f"\n{machine()}\n\n| way | median | from | to |\n|---|--:|--:|--:|")
    for name, seconds in taken.items():
        print(f"| {name} | {statistics.median(seconds):.1f} s | {min(seconds):.1f} s | {max(seconds):.1f} s |")
    ratios = {
        theirs: statistics.median(a / b for a, b in zip(taken[OURS], taken[theirs], strict=True))
        for theirs in (WHOLE, PUBLIC)
    }
    for theirs, ratio in ratios.items():
        print(f"\nA cluster's first result takes {ratio:.2f} times what {theirs} takes, by the pairs' median.")
    if to is not None:
        to.write_text(json.dumps({"machine": machine(), "taken": taken, "ratios": ratios}, indent=1))


if __name__ == "__main__":
    main()
