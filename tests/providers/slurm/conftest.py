"""A real Slurm on this machine, for the tests that ask for it."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

RIG = Path(__file__).parents[3] / "rigs" / "slurm.sh"


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    """Start it, unless it is up already; what was started here ends with the tests."""
    if (
        shutil.which("squeue")
        and subprocess.run(["scontrol", "ping"], capture_output=True, check=False).returncode == 0
    ):
        yield
        return
    if os.geteuid() != 0:
        pytest.fail("the Slurm rig needs root")
    subprocess.run(["bash", str(RIG), "start"], check=True, timeout=300)
    yield
    subprocess.run(["bash", str(RIG), "stop"], check=True, timeout=120)


def ask(*command: str) -> str:
    """Return what a command of Slurm says."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout


def cancel(*jobs: str) -> None:
    """Cancel jobs as a person would."""
    if jobs:
        subprocess.run(["scancel", *jobs], check=False, timeout=30)
