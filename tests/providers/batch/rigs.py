"""Real batch systems on this machine, as those see them who aren't Tradewind: the witnesses of its tests."""

import os
import re
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

import pytest

from tradewind.providers.batch.provider import BatchProvider
from tradewind.providers.sge import SgeProvider
from tradewind.providers.slurm import SlurmProvider

RIGS = Path(__file__).parents[3] / "rigs"


@dataclass(frozen=True)
class Live:
    """A job that the system hasn't done with."""

    id: str
    """As its own commands take it."""
    submission: str
    index: int
    name: str
    """The part of it that all jobs of a cluster share."""
    mark: str
    waits: bool


class Rig(ABC):
    """One system."""

    name: ClassVar[str]
    """Of its provider too."""
    system: ClassVar[str]
    provider: ClassVar[type[BatchProvider]]
    impossible: ClassVar[tuple[Sequence[str], str]]
    """Options with which a job waits for what never comes, and what is then said."""
    later: ClassVar[Sequence[str]]
    """Options with which a job begins in an hour."""
    unknown: ClassVar[tuple[str, str]]
    """A partition that isn't there, and the system's words about it."""

    @property
    def environ(self) -> Mapping[str, str]:
        """What a program needs to find it."""
        return {}

    @abstractmethod
    def is_up(self) -> bool: ...

    @abstractmethod
    def live(self) -> list[Live]: ...

    @abstractmethod
    def cancel(self, *jobs: str) -> None:
        """Cancel jobs as a person would."""

    @abstractmethod
    def readable(self, submissions: Iterable[str]) -> list[str]:
        """Return what anybody can read of these."""

    @abstractmethod
    def fill(self) -> str:
        """Have every core taken by somebody else; returns the job."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start it, unless it is up already; what was started here ends with the tests."""
        if self.is_up():
            yield
            return
        if os.geteuid() != 0:
            pytest.fail(f"the rig of {self.system} needs root")
        script = str(RIGS / f"{self.name}.sh")
        subprocess.run(["bash", script, "start"], check=True, timeout=300)
        yield
        subprocess.run(["bash", script, "stop"], check=True, timeout=120)

    def ask(self, *command: str) -> str:
        """Return what a command of the system says."""
        environ = {**os.environ, **self.environ}
        program = shutil.which(command[0], path=environ["PATH"]) or command[0]
        return subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, check=True, timeout=30, env=environ
        ).stdout

    def of(self, word: str) -> list[Live]:
        """Return those whose mark holds ``word``."""
        return [one for one in self.live() if word in one.mark]


class SlurmRig(Rig):
    name = "slurm"
    system = "Slurm"
    provider = SlurmProvider
    # Slurm says the one first and the other after its next look.
    impossible = (("--partition=short", "--time=20"), r"\(Slurm: Partition(Config|TimeLimit)\)")
    later = ("--begin=now+1hour", "--deadline=now+100hours")
    unknown = ("nowhere", "invalid partition specified: nowhere")

    def is_up(self) -> bool:
        found = shutil.which("squeue")
        return bool(found) and not subprocess.run(["scontrol", "ping"], capture_output=True, check=False).returncode

    def live(self) -> list[Live]:
        lines = self.ask("squeue", "--noheader", "--array", "--format=%i|%T|%j|%k").splitlines()
        found = []
        for line in lines:
            job, state, name, mark = line.split("|", 3)
            submission, _, index = job.partition("_")
            if index.isdigit():
                found.append(Live(job, submission, int(index), name, mark, state == "PENDING"))
        return found

    def cancel(self, *jobs: str) -> None:
        if jobs:
            subprocess.run(["scancel", *jobs], check=False, timeout=30)

    def readable(self, submissions: Iterable[str]) -> list[str]:
        found = []
        for one in submissions:
            found += [self.ask("scontrol", "show", "job", one), self.ask("scontrol", "write", "batch_script", one, "-")]
        return found

    def fill(self) -> str:
        job = self.ask(
            "sbatch", "--parsable", "--nodes=3", "--exclusive", "--output=/dev/null", "--wrap=srun sleep 600"
        ).strip()
        while "RUNNING" not in self.ask("squeue", "--noheader", "--format=%T", f"--jobs={job}"):
            time.sleep(0.2)
        return job


class SgeRig(Rig):
    name = "sge"
    system = "Grid Engine"
    provider = SgeProvider
    impossible = (("-wd /nowhere",), r"can't chdir to /nowhere")
    later = ("-h",)
    unknown = ("nowhere.q", 'requests unknown queue "nowhere.q"')

    @property
    def environ(self) -> Mapping[str, str]:
        commands = Path(os.environ.get("TMPDIR", "/var/tmp")) / "tradewind-sge" / "bin"
        return {"PATH": f"{commands}:{os.environ['PATH'].removeprefix(f'{commands}:')}"}

    def is_up(self) -> bool:
        command = ["bash", str(RIGS / "sge.sh"), "status"]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def live(self) -> list[Live]:
        root = ElementTree.fromstring(self.ask("qstat", "-u", "*", "-g", "d", "-xml"))
        found = []
        for job in root.iter("job_list"):
            task = job.findtext("tasks") or ""
            name, _, mark = (job.findtext("JB_name") or "").partition("+")
            if task.isdigit():
                number = job.findtext("JB_job_number") or ""
                waits = "q" in (job.findtext("state") or "")
                found.append(Live(f"{number}.{task}", number, int(task) - 1, name, mark.replace("+", ":"), waits))
        return found

    def cancel(self, *jobs: str) -> None:
        if jobs:
            command = [shutil.which("qdel", path=self.environ["PATH"]) or "qdel", *jobs]
            subprocess.run(command, check=False, timeout=30, capture_output=True)

    def readable(self, submissions: Iterable[str]) -> list[str]:
        return [self.ask("qstat", "-j", one) for one in submissions]

    def fill(self) -> str:
        slots = [int(n) for n in re.findall(r"'slots'>(\d+)<", self.ask("qhost", "-q", "-xml"))]
        command = ["qsub", "-terse", "-t", f"1-{sum(slots)}", "-o", "/dev/null", "-j", "y", "-b", "y", "sleep", "600"]
        job = self.ask(*command).strip().partition(".")[0]
        while any(one.waits for one in self.live() if one.submission == job):
            time.sleep(0.2)
        return job


SLURM, SGE = SlurmRig(), SgeRig()
EVERY: Sequence[Rig] = (SLURM, SGE)
