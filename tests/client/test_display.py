"""What programs in pipes and terminals see of a real local cluster."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.conftest import SRC, eventually
from tradewind import Cluster
from tradewind.client.display.terminal import Terminal
from tradewind.model.events import BUDGET_STEP
from tradewind.model.exchange import NewBudget
from tradewind.model.money import Money

ONE_CLUSTER = """
import sys
{before}
from tradewind import Cluster
with Cluster(n_workers=1, wait_for_workers=True, name="shown"{keywords}) as cluster:
    assert cluster.get_client().submit(int, "42").result() == 42
print("rich.live" in sys.modules, "ipywidgets" in sys.modules, "IPython" in sys.modules)
"""
ESCAPES = re.compile(r"\x1b\[[?0-9;]*[A-Za-z]")


def program(before: str = "", keywords: str = "") -> str:
    return ONE_CLUSTER.format(before=before, keywords=keywords)


def in_terminal(code: str, home: Path) -> str:
    """Run ``code`` with a terminal of 80 columns on standard error; return what was written there."""
    main, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(SRC), "COLUMNS": "80", "TERM": "xterm-256color"},
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(main, 65536):
            written += chunk
    except OSError:  # how Linux says that nobody writes any more
        pass
    finally:
        os.close(main)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, written.decode()
    return written.decode() + out.decode()


def test_a_script_whose_output_is_read_by_another_program_sees_nothing(
    caller: Callable[..., subprocess.Popen[str]],
) -> None:
    out, errors = caller(program()).communicate(timeout=30)

    assert out == "False False False\n"
    assert errors == ""


def test_the_log_has_two_lines_for_those_who_ask_for_it(caller: Callable[..., subprocess.Popen[str]]) -> None:
    verbose = "import logging; logging.basicConfig(level='WARNING'); logging.getLogger('tradewind').setLevel('INFO')"
    _, errors = caller(program(before=verbose)).communicate(timeout=30)
    lines = [line for line in errors.splitlines() if line.startswith("INFO:tradewind:")]

    assert len(lines) == 2
    assert re.fullmatch(
        r"INFO:tradewind:Cluster shown is up: 1 worker, \d+ threads?, .*, free, dashboard http.*", lines[0]
    )
    assert re.fullmatch(r"INFO:tradewind:Cluster shown ended after \d+ \w+: free", lines[1])


def test_a_terminal_keeps_one_line_of_the_start_and_one_of_the_end(home: Path) -> None:
    written = in_terminal(program(), home)
    kept = [
        line for line in ESCAPES.sub("", written).replace("\r", "").splitlines() if line.startswith("Cluster shown ")
    ]

    assert [line for line in kept if " is up: " in line] != []
    assert [line for line in kept if " ended after " in line] != []


def test_a_slow_start_is_drawn_and_wiped(home: Path) -> None:
    impatient = "import tradewind.client.display.terminal as t; t.PATIENCE_S = 0.0; t.FRAME_S = 0.05"
    written = in_terminal(program(before=impatient), home)

    assert "workers: " in written
    assert written.count("\x1b[?25l") == written.count("\x1b[?25h") == 1, "the cursor is hidden and comes back"
    assert written.index("\x1b[?25h") < written.index(" is up: ")


def test_a_terminal_stays_quiet_where_nothing_shall_be_shown(home: Path) -> None:
    assert in_terminal(program(keywords=", show_widget=False"), home) == "False False False\n"


def test_a_display_that_fails_costs_the_user_a_warning_and_not_the_cluster(
    home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("no paper")

    with Cluster(n_workers=1, wait_for_workers=True) as cluster:
        monkeypatch.setattr(cluster._display, "_show", fails)
        cluster.sync(cluster._display.update, cluster._session.view)
        answer = cluster.get_client().submit(int, "42").result()

    assert answer == 42
    assert "can't be shown any more; it goes on" in caplog.text


def test_each_step_of_a_budget_that_pays_is_said_once(
    home: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRADEWIND_LOCAL__PRICE_PER_HOUR", "36")  # a cent a second
    limit = NewBudget(limit=Money(amount=Decimal("0.06"), currency="USD"), is_hard=False)
    with Cluster(n_workers=1, wait_for_workers=True) as cluster:
        # What was passed before its first look isn't said: on a busy machine, that look may come late.
        cluster.sync(cluster._display.update, cluster._session.view)
        api = cluster._session.api
        api.run(api.set_budget(limit))
        eventually(lambda: " 100 % of" in caplog.text, 30, "all of it is said to be spent")
        shown = cluster._repr_html_()
        # A busy machine looks seldom and may step over some; what happened, the journal knows.
        journal = [event for _, event in api.run(api.events(cluster.cluster_id)) if event.kind == BUDGET_STEP]

    said = [record.getMessage() for record in caplog.records if "the budget of 0.06 USD" in record.getMessage()]
    assert said == [f"Cluster {cluster.name!r}: {event.message}" for event in journal]
    assert len(said) == len(set(said))
    assert "It is soft, and stops nothing." in said[0]
    assert "100 % of the budget of 0.06 USD a month" in shown


def test_a_terminal_that_was_closed_is_no_fault(home: Path) -> None:
    with open(os.devnull, "w", encoding="utf-8") as gone:
        pass
    with Cluster(n_workers=0, show_widget=False) as cluster:
        Terminal(cluster, gone)._say("Cluster x is up")
