"""A terminal of its own, and one recorded life of a real cluster that the reading commands are asked about."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from distributed import span, wait

from tradewind import Cluster
from tradewind.cli import main

Run = Callable[..., Result]


@pytest.fixture
def run() -> Run:
    """Call a command as its words."""

    def call(*words: str, **options: Any) -> Result:
        return CliRunner(env={"COLUMNS": "120"}).invoke(main, words, prog_name="tradewind", **options)

    return call


@pytest.fixture
def ask(run: Run) -> Callable[..., Any]:
    """Call a reading command with ``--json`` and return what it printed."""

    def call(*words: str) -> Any:
        result = run(*words, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return call


@pytest.fixture
def nothing_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has never used it."""
    monkeypatch.setenv("TRADEWIND_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRADEWIND_CONFIG_DIR", str(tmp_path / "config"))
    return tmp_path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user's own directories, where an hour of the machine has a price."""
    directory = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEWIND_DATA_DIR", str(directory))
        patch.setenv("TRADEWIND_CONFIG_DIR", str(directory))
        patch.setenv("TRADEWIND_LOCAL__PRICE_PER_HOUR", "36")
        yield directory


@pytest.fixture(scope="module")
def life(home: Path) -> Path:
    """The cluster "sea-ice" ran two computations, one of which failed, and has stopped."""

    def divide(x: int) -> float:
        return 1 / x

    with (
        Cluster(
            name="sea-ice",
            n_workers=1,
            wait_for_workers=True,
            tags={"project": "[red]ice"},
            budget="5 USD",
            show_widget=False,
        ) as cluster,
        cluster.get_client() as client,
    ):
        with span("well"):
            wait(client.map(lambda x: x + 1, range(20)))
        with span("badly"):
            wait(client.submit(divide, 0))
    return home
