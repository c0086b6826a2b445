"""Bare machines for tests: made by ``rigs/bare-hosts.sh``, reached through a real sshd."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "rigs" / "bare-hosts.sh"
NAME = os.environ.get("RIG_NAME", "bare")
LOCK = Path(f"/var/tmp/tradewind-{NAME}-hosts-tests.lock")
"""Held while machines of that name are there: others of it would have the same addresses."""
NEEDED = ("ip", "iptables", "nsenter", "ssh-keygen", "unshare")
GATEWAY = os.environ.get("RIG_NET", "10.83.0") + ".1"
"""This machine, as they see it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BareHost:
    """One machine."""

    number: int
    name: str
    address: str
    rig: Path

    def run(self, *command: str, timeout_s: float = 60) -> str:
        """Return what a command writes there; it goes past sshd, so it works whatever sshd does."""
        done = subprocess.run(
            [SCRIPT, "run", str(self.number), *command],
            env=os.environ | {"RIG": str(self.rig)},
            capture_output=True,
            text=True,
            check=True,
            timeout=timeout_s,
        )
        return done.stdout

    def processes(self) -> list[str]:
        """Return the command lines of all that runs there but its own first process and sshd."""
        lines = self.run("ps", "-ax", "-o", "pid=,args=").splitlines()
        own = (" 1 ", "sshd", "ps -ax")
        return [line.strip() for line in lines if not any(part in f" {line.strip()} " for part in own)]

    def reboot(self) -> None:
        """Kill everything, and start it again."""
        _rig(self.rig, "reboot", str(self.number))

    def slow_down(self, megabits_per_s: int) -> None:
        """Give it a line on which no more than that arrives."""
        _rig(self.rig, "slow", str(self.number), str(megabits_per_s))

    @contextmanager
    def unplugged(self) -> Iterator[None]:
        """Take its cable out for a while."""
        _rig(self.rig, "cut", str(self.number))
        try:
            yield
        finally:
            _rig(self.rig, "mend", str(self.number))

    @contextmanager
    def deaf_to(self, address: str, port: int | None = None) -> Iterator[None]:
        """Lose for a while all that comes from an address or goes there; of one port here only, if named."""
        of_port = ["-p", "tcp", "--{}", str(port)] if port is not None else []
        rules = [
            ["INPUT", "-s", address, *(word.format("dport") for word in of_port)],
            ["OUTPUT", "-d", address, *(word.format("sport") for word in of_port)],
        ]
        for rule in rules:
            self.run("iptables", "-I", *rule, "-j", "DROP")
        try:
            yield
        finally:
            for rule in rules:
                self.run("iptables", "-D", *rule, "-j", "DROP")

    @property
    def home(self) -> Path:
        """Its home directory, as this machine sees it: for witnesses."""
        return self.rig / self.name / "root"


@dataclass(frozen=True, slots=True, kw_only=True)
class BareHosts:
    """All of them, and how to get in."""

    hosts: tuple[BareHost, ...]
    key: Path
    known_hosts: Path

    def settings(self, *, cores: int = 2, memory: str = "4 GiB") -> str:
        """Return the ``[ssh]`` table of a settings file that names them."""
        lines = ["[ssh]", f'known_hosts = "{self.known_hosts}"']
        for host in self.hosts:
            lines += [
                "[[ssh.hosts]]",
                f'name = "{host.name}"',
                f'address = "{host.address}"',
                'user = "root"',
                f'key = "{self.key}"',
                f"cores = {cores}",
                f'memory = "{memory}"',
                'price_per_hour = "0.36"',
            ]
        return "\n".join(lines) + "\n"


def why_not() -> str | None:
    """Return why there can be no such machines here; None if there can."""
    if os.geteuid() != 0:
        return "bare hosts are made of namespaces, which needs root"
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if shutil.which("sshd") is None and not Path("/usr/sbin/sshd").exists():
        missing.append("sshd")
    return f"bare hosts need {', '.join(missing)}" if missing else None


@contextmanager
def bare_hosts(count: int, rig: Path) -> Iterator[BareHosts]:
    """Make ``count`` machines for as long as the block runs. Skips the test where that can't be."""
    reason = why_not()
    if reason is not None:
        pytest.skip(reason)
    with LOCK.open("w") as lock:
        # Who comes second waits here; the script itself refuses, since it can't know whether anybody waits.
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            said = dict(line.split() for line in _rig(rig, "up", str(count)).splitlines())
            hosts = tuple(
                BareHost(number=n, name=f"bare{n}", address=said[f"bare{n}"], rig=rig) for n in range(1, count + 1)
            )
            yield BareHosts(hosts=hosts, key=Path(said["key"]), known_hosts=Path(said["known_hosts"]))
        finally:
            _rig(rig, "down")


def _rig(rig: Path, *words: str) -> str:
    done = subprocess.run(
        [SCRIPT, *words], env=os.environ | {"RIG": str(rig)}, capture_output=True, text=True, timeout=60, check=False
    )
    if done.returncode:
        raise RuntimeError(f"bare-hosts.sh {' '.join(words)} failed: {done.stderr[-2000:]}")
    return done.stdout
