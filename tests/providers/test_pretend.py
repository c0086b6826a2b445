"""The providers of PBS, LSF and HTCondor pass what every provider passes, on stand-ins for these systems."""

import functools
import os
import tempfile
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from tests.providers import pretend
from tests.providers.batch.contract import BatchContract
from tests.providers.batch.rigs import Live, Rig
from tradewind.providers.htcondor import HtcondorProvider
from tradewind.providers.lsf import LsfProvider
from tradewind.providers.pbs import PbsProvider

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class PretendRig(Rig):
    """The stand-in for one system."""

    impossible = ((), "")
    later = ()

    @functools.cached_property
    def there(self) -> Path:
        place = Path(tempfile.mkdtemp(prefix=f"pretend-{self.name}-"))
        pretend.install(self.name, place)
        return place

    @property
    def environ(self) -> Mapping[str, str]:
        commands = self.there / "bin"
        return {"PATH": f"{commands}:{os.environ['PATH'].removeprefix(f'{commands}:')}"}

    def is_up(self) -> bool:
        return True

    def live(self) -> list[Live]:
        found = []
        for job in pretend.jobs(self.there / "state"):
            number = str(job["number"])
            if job["end"] is None:
                found.append(Live(f"{number}-{job['index']}", number, job["index"], job["name"], job["mark"], False))
        return found

    def cancel(self, *jobs: str) -> None:
        for job in jobs:
            (self.there / "state" / f"{job}.kill").touch()

    def readable(self, submissions: Iterable[str]) -> list[str]:
        wanted = set(submissions)
        return [job["script"] for job in pretend.jobs(self.there / "state") if str(job["number"]) in wanted]

    def fill(self) -> str:
        raise AssertionError("it has room for everybody")


class PbsRig(PretendRig):
    name = "pbs"
    system = "PBS"
    provider = PbsProvider
    unknown = ("nowhere", "Unknown queue")


class LsfRig(PretendRig):
    name = "lsf"
    system = "LSF"
    provider = LsfProvider
    unknown = ("nowhere", "No such queue")


class HtcondorRig(PretendRig):
    name = "htcondor"
    system = "HTCondor"
    provider = HtcondorProvider
    unknown = ("", "")


class TestPbs(BatchContract):
    rig: ClassVar[Rig] = PbsRig()


class TestLsf(BatchContract):
    rig: ClassVar[Rig] = LsfRig()
    clock_skew: ClassVar[timedelta] = timedelta(seconds=61)
    """It says to the minute when a job began."""


class TestHtcondor(BatchContract):
    rig: ClassVar[Rig] = HtcondorRig()
    unpromised: ClassVar[Mapping[str, str]] = {
        **BatchContract.unpromised,
        "rejection": "a pool has no parts of which one could be unknown, and takes what has to wait",
    }
