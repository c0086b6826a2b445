"""The Slurm provider passes what every provider passes, on a real Slurm; ``squeue`` and ``ps`` are the witnesses."""

import json
import re
import subprocess
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from tradewind.model.instance import Marks, Role
from tradewind.providers.base import Order, Provider, ProviderSettings
from tradewind.providers.slurm import SlurmProvider
from tradewind.testing.provider_tests import MINE, ProviderTests

from .conftest import ask

pytestmark = [pytest.mark.rig, pytest.mark.timeout(300)]


class TestSlurm(ProviderTests):
    unpromised: ClassVar[Mapping[str, str]] = {"no_capacity": "a queue takes what has to wait"}
    start_within: ClassVar[timedelta] = timedelta(seconds=60)
    stop_within: ClassVar[timedelta] = timedelta(seconds=60)
    step: ClassVar[timedelta] = timedelta(seconds=0.3)
    lifetime: ClassVar[timedelta] = timedelta(seconds=6)
    clock_skew: ClassVar[timedelta] = timedelta(seconds=1.5)

    @pytest.fixture(autouse=True)
    def _shared(self, slurm: None, tmp_path: Path) -> Iterator[None]:
        self.root = tmp_path
        yield
        for marks, job in self.jobs():
            if str(self.root) in marks:
                subprocess.run(["scancel", job], check=False)

    def make_provider(self, installation: str = MINE) -> Provider:
        options = {"interface": "lo"}
        return SlurmProvider.from_settings(
            ProviderSettings(installation=installation, state_directory=str(self.root), options=options)
        )

    def batch_file(self, batch: str) -> Path:
        """Return where a submission is written down."""
        return self.root / "slurm" / "batches" / batch / "batch.json"

    def jobs(self) -> list[tuple[str, str]]:
        """Return where each live job writes, and its id."""
        lines = ask("squeue", "--noheader", "--array", "--format=%i|%T|%o|%k").splitlines()
        return [(line.split("|")[3], line.split("|")[0]) for line in lines]

    async def alive(self) -> Collection[Marks]:
        found = []
        for mark, job in self.jobs():
            batch = self.batch_file(mark.split(":")[2])
            if batch.exists():
                data = json.loads(batch.read_text())["marks"][int(job.partition("_")[2])]
                found.append(Marks(**data | {"role": Role(data["role"])}))
        return found

    async def ran_as(self, marks: Marks) -> tuple[Role, str, str] | None:
        for process in titles(f"dask {marks.role} {marks.cluster} {marks.instance}"):
            _, role, cluster, instance = " ".join(process.cmdline()).split()
            return Role(role), cluster, instance
        return None

    async def exposed(self, marks: Marks) -> Sequence[str]:
        texts = [" ".join(process.cmdline()) for process in titles(marks.cluster)]
        ids = set(
            re.findall(rf"JobId=(\d+) .*?JobName=tw-{marks.cluster}", ask("scontrol", "--oneliner", "show", "job"))
        )
        for job in ids:
            texts += [ask("scontrol", "show", "job", job), ask("scontrol", "write", "batch_script", job, "-")]
        others = [path for path in self.root.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]
        assert ids
        return [*texts, *(path.read_text(errors="replace") for path in others)]

    def bad(self, order: Order) -> tuple[Order, str]:
        return replace(order, offer=replace(order.offer, vm_type="nowhere")), "invalid partition specified: nowhere"


def titles(part: str) -> list[psutil.Process]:
    """Return the live processes whose arguments hold ``part``."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if part in " ".join(process.info["cmdline"] or ()) and process.status() != psutil.STATUS_ZOMBIE
    ]
