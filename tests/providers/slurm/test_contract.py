"""The Slurm provider passes what every provider passes, on a real Slurm."""

from typing import ClassVar

import pytest

from tests.providers.batch.contract import BatchContract
from tests.providers.batch.rigs import SLURM, Rig

pytestmark = [pytest.mark.rig, pytest.mark.timeout(300)]


class TestSlurm(BatchContract):
    rig: ClassVar[Rig] = SLURM
