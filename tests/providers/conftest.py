"""Rigs of batch systems, started by the first test that asks for one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.providers.batch.rigs import Rig


@pytest.fixture(scope="session")
def stand() -> Iterator[Callable[[Rig], None]]:
    """Return what has a rig stand until all tests are over."""
    with ExitStack() as until_the_end:
        standing: set[str] = set()

        def have(rig: Rig) -> None:
            if rig.name not in standing:
                until_the_end.enter_context(rig.running())
                standing.add(rig.name)

        yield have
