"""A small Dask client in this process, shared by the tests of the demo."""

from collections.abc import Iterator

import pytest
from distributed import Client


@pytest.fixture(scope="session")
def client() -> Iterator[Client]:
    with Client(
        processes=False, n_workers=1, threads_per_worker=2, memory_limit=0, dashboard_address=None, set_as_default=True
    ) as client:
        yield client
