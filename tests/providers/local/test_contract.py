"""The local provider passes what every provider passes; ``ps`` is the witness."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from tradewind.model.instance import Marks, Role
from tradewind.providers.base import Order, Provider
from tradewind.testing.provider_tests import MINE, ProviderTests

from .orders import provider


class TestLocal(ProviderTests):
    unpromised: ClassVar[Mapping[str, str]] = {
        "no_capacity": "a machine is shared among all who ask; only a full process table would refuse",
    }
    step: ClassVar[timedelta] = timedelta(seconds=0.05)

    @pytest.fixture(autouse=True)
    def _state(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        self.state = tmp_path_factory.mktemp("state")

    def make_provider(self, installation: str = MINE) -> Provider:
        return provider(self.state, installation)

    async def alive(self) -> Collection[Marks]:
        found = []
        for claim in self.state.glob("local/runs/*/instance.json"):
            data = json.loads(claim.read_text())
            marks = Marks(**data["marks"] | {"role": Role(data["marks"]["role"])})
            if _titles(f"{marks.role} {marks.cluster} {marks.instance}"):
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
        return [*texts, *(_read(path) for path in self.state.rglob("*") if path.is_file())]

    def bad(self, order: Order) -> tuple[Order, str]:
        return replace(order, marks=replace(order.marks, order="../elsewhere")), "plain file name"


def _titles(part: str) -> list[psutil.Process]:
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if part in " ".join(process.info["cmdline"] or ()) and process.status() != psutil.STATUS_ZOMBIE
    ]


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")
