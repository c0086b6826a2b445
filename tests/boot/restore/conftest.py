"""What tests of a machine that gets ready may ask for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boot.restore.index import Index, serving
from tests.boot.restore.machine import Machine


@pytest.fixture
def index() -> Iterator[Index]:
    with serving() as found:
        yield found


@pytest.fixture
def machine(tmp_path: Path, index: Index) -> Machine:
    home = tmp_path / "home"
    home.mkdir()
    return Machine(home=home, index=index)
