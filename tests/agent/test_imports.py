"""What a process imports from now on."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tradewind.agent.imports import import_from


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Directories to import from; whatever was imported of them is forgotten again."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = set(sys.modules)
    yield tmp_path
    import_from([], ())
    for name in set(sys.modules) - before:
        del sys.modules[name]


def place(home: Path, name: str, **modules: str) -> str:
    directory = home / name
    directory.mkdir(exist_ok=True)
    for module, text in modules.items():
        (directory / f"{module}.py").write_text(text)
    return str(directory)


def test_places_stand_in_front_in_their_order_and_replace_the_last_ones(home: Path) -> None:
    before = [*sys.path]
    one, two, three = (place(home, name) for name in ("one", "two", "three"))
    import_from([one, two], ())
    assert sys.path == [one, two, *before]
    import_from([three], ())
    assert sys.path == [three, *before]
    import_from([], ())
    assert sys.path == before


def test_named_modules_are_loaded_anew_and_others_stay(home: Path) -> None:
    one = place(home, "one", ebb="x = 1", flow="x = 1")
    import_from([one], ())
    ebb, flow = importlib.import_module("ebb"), importlib.import_module("flow")
    two = place(home, "one", ebb="x = 22")
    assert import_from([two], ["ebb", "never_loaded"]) == ("ebb",)
    assert importlib.import_module("ebb").x == 22
    assert ebb.x == 1, "who has it keeps it"
    assert importlib.import_module("flow") is flow


def test_modules_of_a_place_that_goes_are_forgotten(home: Path) -> None:
    import_from([place(home, "one", ebb="x = 1")], ())
    importlib.import_module("ebb")
    assert import_from([], ()) == ("ebb",)
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("ebb")


def test_what_the_process_runs_on_is_never_forgotten(home: Path) -> None:
    assert import_from([], ["tradewind", "distributed", "dask", "__main__"]) == ()
    assert "distributed" in sys.modules


def test_a_module_that_is_just_being_loaded_is_waited_for(home: Path) -> None:
    began, may_end = threading.Event(), threading.Event()
    sys.modules["tide_gates"] = type(sys)("tide_gates")
    vars(sys.modules["tide_gates"]).update(began=began, may_end=may_end)
    source = "import tide_gates\ntide_gates.began.set()\ntide_gates.may_end.wait(10)\nx = 1\n"
    import_from([place(home, "one", ebb=source)], ())
    failed: list[BaseException] = []

    def load() -> None:
        try:
            importlib.import_module("ebb")
        except BaseException as error:  # noqa: BLE001 - told to the test
            failed.append(error)

    loading = threading.Thread(target=load)
    loading.start()
    assert began.wait(10)
    forgetting = threading.Thread(target=import_from, args=(["/nowhere"], ["ebb"]))
    forgetting.start()
    forgetting.join(0.1)
    assert forgetting.is_alive()
    may_end.set()
    loading.join(10)
    forgetting.join(10)
    assert not failed
    assert "ebb" not in sys.modules
