"""The SSH provider passes what every provider passes, against a real sshd; ``ps`` is the witness."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from tests.line.sshd import Sshd
from tradewind.model.instance import Marks, Role
from tradewind.model.resources import GIB, Resources
from tradewind.providers.base import Order, Provider
from tradewind.testing.provider_tests import MINE, ProviderTests

from .conftest import Lab


class TestSsh(ProviderTests):
    step: ClassVar[timedelta] = timedelta(seconds=0.1)
    start_within: ClassVar[timedelta] = timedelta(seconds=60)
    clock_skew: ClassVar[timedelta] = timedelta(seconds=2)

    @pytest.fixture(autouse=True)
    def _lab(self, server: Sshd, tmp_path: Path, environment: Path) -> Iterator[None]:
        self.lab = Lab(server, tmp_path, environment)
        yield
        self.lab.kill_all()

    def make_provider(self, installation: str = MINE) -> Provider:
        hosts = [self.lab.host(name, cores=2, memory=4 * GIB) for name in ("ws1", "ws2")]
        return self.lab.provider(*hosts, installation=installation)

    async def alive(self) -> Collection[Marks]:
        found = []
        for claim in self.lab.directory.glob("*/runs/*/instance.json"):
            data = json.loads(claim.read_text())
            marks = Marks(**data["marks"] | {"role": Role(data["marks"]["role"])})
            if _titles(f"{marks.role} {marks.cluster} {marks.instance}") or _is_becoming(data["pid"]):
                found.append(marks)
        return found

    async def ran_as(self, marks: Marks) -> tuple[Role, str, str] | None:
        for process in _titles(f"dask {marks.role} {marks.cluster} {marks.instance}"):
            _, role, cluster, instance = " ".join(process.cmdline()).split()
            return Role(role), cluster, instance
        return None

    async def exposed(self, marks: Marks) -> Sequence[str]:
        processes = _titles(f"{marks.role} {marks.cluster} {marks.instance}")
        texts = [_read(Path(f"/proc/{process.pid}/{name}")) for process in processes for name in ("cmdline", "environ")]
        return [*texts, *(_read(path) for path in self.lab.directory.rglob("*") if path.is_file())]

    def too_many(self, order: Order) -> Order:
        resources = Resources(cpus=2, memory=5 * GIB)
        marks = replace(order.marks, role=Role.WORKER)
        return replace(order, marks=marks, offer=replace(order.offer, resources=resources))

    def bad(self, order: Order) -> tuple[Order, str]:
        return replace(order, marks=replace(order.marks, order="../elsewhere")), "plain file name"


def _titles(part: str) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if part in " ".join(process.info["cmdline"] or ()) and process.status() != psutil.STATUS_ZOMBIE
    ]


def _is_becoming(pid: int) -> bool:
    """Whether a process is just turning into another program: it has no title for a moment."""
    try:
        process = psutil.Process(pid)
        return not process.cmdline() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")
