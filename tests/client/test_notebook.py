"""A notebook with a real local cluster, run as Jupyter runs it."""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from tests.e2e.conftest import SRC

WIDGET = "application/vnd.jupyter.widget-view+json"
WITHOUT_WIDGETS = "import sys; sys.modules['ipywidgets'] = None"
START = "from tradewind import Cluster\ncluster = Cluster(n_workers=1, wait_for_workers=True, name='noted')"
WATCHED = """
import threading
import IPython
import tradewind.client.display.notebook as notebook
notebook.FRAME_S = 0.02
publisher = IPython.get_ipython().display_pub
said, publish = [], publisher.publish
def noting(data, *args, update=False, **keywords):
    said.append((update, threading.current_thread().name, "of 1 workers up" in data.get("text/html", "")))
    return publish(data, *args, update=update, **keywords)
publisher.publish = noting
"""


@pytest.fixture
def run(home: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run cells in a kernel and return what stands below each."""
    monkeypatch.setenv("PYTHONPATH", str(SRC))
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))

    def execute(cells: Sequence[str]) -> list[list[Any]]:
        notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
        NotebookClient(
            notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": os.getcwd()}}
        ).execute()
        return [cell.outputs for cell in notebook.cells]

    return execute


def htmls(outputs: Sequence[Any]) -> list[str]:
    return [o["data"]["text/html"] for o in outputs if "text/html" in o.get("data", {})]


def test_the_cell_that_started_it_ends_with_the_receipt(run: Any) -> None:
    start, _, end = run([START, "cluster.get_client().submit(int, '42').result()", "cluster.close()"])

    assert len(htmls(start)) == 1
    assert "stopped" in htmls(start)[0]
    assert "Cost: <b>free</b>" in htmls(start)[0]
    assert end == []


def test_the_start_is_shown_while_it_goes_on(run: Any) -> None:
    _, _, told, _ = run([WATCHED, START + "\nduring = list(said)", "print(during)", "cluster.close()"])
    during = ast.literal_eval(told[0]["text"])

    assert during[0] == (False, "MainThread", False)
    assert (True, "IO loop", True) in during


def test_the_value_of_a_cell_is_a_widget_that_becomes_plain_at_the_end(run: Any) -> None:
    _, shown, kinds, _ = run(
        [
            START,
            "cluster",
            "import ipywidgets\nprint(type(cluster._widget()).__name__, cluster._widget() is cluster._widget())",
            "cluster.close(); print(cluster._widget())",
        ]
    )

    assert kinds[0]["text"] == "VBox True\n"
    assert len(shown) == 1
    assert WIDGET not in shown[0]["data"], "a widget in a saved notebook is a blank"
    assert "stopped" in shown[0]["data"]["text/html"]


def test_a_cell_that_starts_and_ends_with_it_shows_it_once(run: Any) -> None:
    shown, _ = run([START + "\ncluster", "cluster.close()"])

    assert len([o for o in shown if o["output_type"] == "display_data"]) == 1


def test_the_buttons_change_its_size_and_say_what_cant_be(run: Any) -> None:
    clicks = """
status, forms, answer = cluster._widget().children
(count, scale), (minimum, maximum, adapt) = (box.children for box in forms.children)
count.value = 2; scale.click()
by_hand = cluster._session.api.run(cluster._session.look()).cluster.intent.scaling
minimum.value, maximum.value = 1, 3; adapt.click()
by_work = cluster._session.api.run(cluster._session.look()).cluster.intent.scaling
minimum.value, maximum.value = 3, 1; adapt.click()
print(by_hand.initial, (by_work.minimum, by_work.maximum), "[3, 1]" in answer.value)
"""
    _, told, _ = run([START, clicks, "cluster.close()"])

    assert told[0]["text"] == "2 (1, 3) True\n"


def test_without_ipywidgets_the_page_is_plain_and_live(run: Any) -> None:
    _, _, shown, _ = run([WITHOUT_WIDGETS, START, "cluster", "cluster.close()"])

    assert WIDGET not in shown[0]["data"]
    assert "stopped" in shown[0]["data"]["text/html"]


def test_a_notebook_that_wants_nothing_shown_gets_nothing(run: Any) -> None:
    start, end = run([START.replace("name='noted'", "show_widget=False"), "cluster.close()"])

    assert start == end == []


def test_what_cant_be_had_is_said_in_the_cell_and_nothing_stays_pending(run: Any) -> None:
    refused = (
        "from tradewind.errors import BadRequest\n"
        "try: Cluster(n_workers=1, worker_memory='100 TiB')\n"
        "except BadRequest: print('refused')"
    )
    _, shown = run(["from tradewind import Cluster", refused])

    assert "not started" in htmls(shown)[0]
    assert [o["text"] for o in shown if o["output_type"] == "stream"] == ["refused\n"]


def test_two_programs_see_one_cluster_and_the_one_that_lets_go_says_so(run: Any) -> None:
    _, other, _, _ = run([START, "other = Cluster(name='noted')", "other.close()", "cluster.close()"])

    assert "stays up" in htmls(other)[0]
