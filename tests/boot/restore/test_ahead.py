"""What is made before the rest of an environment is known."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from tests.boot.restore.machine import Machine, environment, pins, said
from tests.boot.restore.test_archive import edited
from tests.boot.restore.test_install import leftovers, python_says

BASE = "b" * 64


def made_ahead(machine: Machine, *names: str) -> Path:
    last = machine.run(environment(*pins(*names)), task="ahead", base=BASE)[-1]
    assert last["way"] == "ahead"
    return Path(str(last["done"]))


def left_of_it(machine: Machine) -> list[str]:
    return [path.name for path in (machine.cache / "environments").iterdir() if path.name.startswith("ahead-")]


def test_what_was_made_ahead_becomes_the_environment_with_the_callers_code_in_it(
    machine: Machine, tmp_path: Path
) -> None:
    machine.index.add("alpha")
    before = (made_ahead(machine, "alpha") / "lib").stat().st_ino
    machine.index.asked.clear()
    wanted, files = edited(machine, tmp_path, "text = 'mine'")

    last = machine.run(wanted, files=files, base=BASE)[-1]

    assert last["way"] == "install"
    assert (machine.directory(wanted) / "lib").stat().st_ino == before
    assert not machine.index.asked, "nothing was fetched again"
    assert python_says(machine, wanted, "import alpha, mine, plain; print(alpha.version, mine.text)") == "1.0 mine"
    assert left_of_it(machine) + leftovers(machine) == []


def test_nobody_runs_what_was_made_ahead_and_is_not_what_was_asked_for(machine: Machine, tmp_path: Path) -> None:
    machine.index.add("alpha")
    machine.index.add("beta")
    made_ahead(machine, "beta")
    wanted, files = edited(machine, tmp_path, "")

    last = machine.run(wanted, files=files, base=BASE)[-1]

    assert last["failed"] == "mismatch"
    assert not machine.directory(wanted).exists()
    assert left_of_it(machine) + leftovers(machine) == []
    assert machine.run(wanted, files=files, base=BASE)[-1]["way"] == "install", "the next one makes it anew"


def test_it_is_waited_for_while_it_is_made_and_not_after_its_maker_has_died(machine: Machine, tmp_path: Path) -> None:
    machine.index.add("alpha")
    home = machine.cache / "environments"
    home.mkdir(parents=True)
    lock = os.open(home / f"ahead-{BASE}.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    wanted, files = edited(machine, tmp_path, "")

    process = machine.start(wanted, files=files, base=BASE)
    until = time.monotonic() + 20
    while not (home / f"ahead-{BASE}.wanted").exists():
        assert time.monotonic() < until, "its maker is told that somebody waits"
        time.sleep(0.02)
    time.sleep(0.3)
    assert process.poll() is None
    assert not machine.index.asked
    os.close(lock)

    assert said(process)[-1]["way"] == "install"
    assert left_of_it(machine) + leftovers(machine) == []


def test_nothing_is_made_ahead_where_the_same_packages_are_there(machine: Machine, tmp_path: Path) -> None:
    machine.index.add("alpha")
    wanted, files = edited(machine, tmp_path, "")
    machine.run(wanted, files=files, base=BASE)

    last = machine.run(environment(*pins("alpha")), task="ahead", base=BASE)[-1]

    assert last["way"] == "present"
    assert left_of_it(machine) == []


def test_what_cannot_be_made_ahead_leaves_nothing_and_stops_nobody(machine: Machine, tmp_path: Path) -> None:
    machine.index.add("alpha")
    assert machine.run(environment(*pins("nowhere")), task="ahead", base=BASE)[-1]["failed"]
    wanted, files = edited(machine, tmp_path, "")

    assert machine.run(wanted, files=files, base=BASE)[-1]["way"] == "install"
    assert left_of_it(machine) + leftovers(machine) == []


def test_an_edited_project_finds_its_packages_compiled_and_never_itself(machine: Machine, tmp_path: Path) -> None:
    machine.index.add("alpha")
    first, files = edited(machine, tmp_path, "text = 1")
    machine.run(first, files=files, base=BASE)
    assert python_says(machine, first, "import alpha, mine, plain; print(mine.text)") == "1"
    second, files = edited(machine, tmp_path, "text = 2")

    machine.run(second, files=files, base=BASE)

    theirs, ours = (
        list(machine.directory(one).rglob("site-packages/__pycache__/alpha.*.pyc")) for one in (first, second)
    )
    assert ours[0].samefile(theirs[0])
    assert list(machine.directory(first).rglob("mine/__pycache__/*.pyc")), "what the first one's code was compiled to"
    assert not list(machine.directory(second).rglob("mine/__pycache__/*.pyc"))
    assert python_says(machine, second, "import mine, plain; print(mine.text)") == "2"
