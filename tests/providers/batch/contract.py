"""What every batch provider passes on the rig of its system; the system's commands and ``ps`` are the witnesses."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from tests.providers.batch.rigs import Live, Rig
from tradewind.model.instance import Marks, Role
from tradewind.providers.base import Order, Provider, ProviderSettings
from tradewind.testing.provider_tests import MINE, ProviderTests


class BatchContract(ProviderTests):
    """To be given a ``rig``."""

    rig: ClassVar[Rig]
    unpromised: ClassVar[Mapping[str, str]] = {"no_capacity": "a queue takes what has to wait"}
    start_within: ClassVar[timedelta] = timedelta(seconds=60)
    stop_within: ClassVar[timedelta] = timedelta(seconds=60)
    step: ClassVar[timedelta] = timedelta(seconds=0.3)
    lifetime: ClassVar[timedelta] = timedelta(seconds=6)
    clock_skew: ClassVar[timedelta] = timedelta(seconds=1.5)

    @pytest.fixture(autouse=True)
    def _own(self, stand: Callable[[Rig], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        stand(self.rig)
        self.root = tmp_path
        for name, value in self.rig.environ.items():
            monkeypatch.setenv(name, value)
        yield
        self.rig.cancel(*(job.id for job in self.rig.live() if self.is_ours(job)))

    def make_provider(self, installation: str = MINE) -> Provider:
        return self.rig.provider.from_settings(
            ProviderSettings(installation=installation, state_directory=str(self.root), options={"interface": "lo"})
        )

    def batch_file(self, batch: str) -> Path:
        """Return where a submission is written down."""
        return self.root / self.rig.name / "batches" / batch / "batch.json"

    def is_ours(self, job: Live) -> bool:
        """Whether a job belongs to this test."""
        return job.mark.count(":") == 3 and self.batch_file(job.mark.split(":")[2]).exists()

    async def alive(self) -> Collection[Marks]:
        found = []
        for job in self.rig.live():
            if self.is_ours(job):
                data = json.loads(self.batch_file(job.mark.split(":")[2]).read_text())["marks"][job.index]
                found.append(Marks(**data | {"role": Role(data["role"])}))
        return found

    async def ran_as(self, marks: Marks) -> tuple[Role, str, str] | None:
        for process in titles(f"dask {marks.role} {marks.cluster} {marks.instance}"):
            _, role, cluster, instance = " ".join(process.cmdline()).split()
            return Role(role), cluster, instance
        return None

    async def exposed(self, marks: Marks) -> Sequence[str]:
        texts = [" ".join(process.cmdline()) for process in titles(marks.cluster)]
        ids = {job.submission for job in self.rig.live() if job.name == f"tw-{marks.cluster}"}
        others = [path for path in self.root.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
        assert ids
        return [*texts, *self.rig.readable(ids), *(path.read_text(errors="replace") for path in others)]

    def bad(self, order: Order) -> tuple[Order, str]:
        part, words = self.rig.unknown
        return replace(order, offer=replace(order.offer, vm_type=part)), words


def titles(part: str) -> list[psutil.Process]:
    """Return the live processes whose arguments hold ``part``."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if part in " ".join(process.info["cmdline"] or ()) and process.status() != psutil.STATUS_ZOMBIE
    ]
