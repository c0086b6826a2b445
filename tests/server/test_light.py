"""A server at rest holds only what it uses."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOAD = """
import sys
import tradewind.server.run, tradewind.cli.serve
from tradewind.providers.base import ProviderSettings
from tradewind.providers.registry import open_provider
for name in ("local", "fake"):
    open_provider(name, ProviderSettings(installation="i", state_directory=sys.argv[1], options={}))
print("\\n".join(sys.modules))
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> frozenset[str]:
    """Return the libraries of a process that could serve now."""
    told = subprocess.run(
        [sys.executable, "-c", LOAD, str(tmp_path_factory.mktemp("state"))], capture_output=True, text=True, check=True
    )
    return frozenset(name.partition(".")[0] for name in told.stdout.split())


@pytest.mark.parametrize("library", ["dask", "distributed"])
def test_a_server_loads_no_dask_before_somebody_asks_for_a_local_cluster(loaded: frozenset[str], library: str) -> None:
    assert library not in loaded


@pytest.mark.parametrize("library", ["authlib", "joserfc"])
def test_a_server_without_an_openid_provider_loads_nothing_that_speaks_to_one(
    loaded: frozenset[str], library: str
) -> None:
    assert library not in loaded


@pytest.mark.parametrize("library", ["pyarrow", "opentelemetry", "pydantic", "alembic", "bokeh", "numpy"])
def test_a_server_loads_nothing_that_it_may_never_use(loaded: frozenset[str], library: str) -> None:
    assert library not in loaded
