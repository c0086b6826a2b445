"""The Grid Engine provider passes what every provider passes, on a real one."""

from typing import ClassVar

import pytest

from tests.providers.batch.contract import BatchContract
from tests.providers.batch.rigs import SGE, Rig

pytestmark = [pytest.mark.rig, pytest.mark.timeout(300)]


class TestSge(BatchContract):
    rig: ClassVar[Rig] = SGE
