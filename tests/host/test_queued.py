"""What a batch job does before it is anything: it looks whether it is wanted still."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tradewind.host.bare import queued

LATE_S = 900.0


@pytest.fixture
def letter(tmp_path: Path) -> Path:
    """Return what a job is told of which nobody has heard for a quarter of an hour."""
    heard = tmp_path / "heard"
    heard.touch()
    os.utime(heard, (time.time() - LATE_S, time.time() - LATE_S))
    path = tmp_path / "order-0.json"
    took_back = f"import pathlib, os; pathlib.Path({str(tmp_path / 'took back')!r}).write_text(os.environ['MINE'])"
    order = {
        "root": str(tmp_path),
        "order": "order-1",
        "marks": {"role": "worker"},
        "alone_s": 600.0,
        "variables": {"MINE": "yes"},
        "end_all": [sys.executable, "-c", took_back],
        "interface": "no-such-interface",
    }
    path.write_text(json.dumps(order))
    return path


def start(letter: Path) -> None:
    program = "import sys; from tradewind.host.bare.queued import main; main(sys.argv[1])"
    subprocess.run([sys.executable, "-c", program, str(letter)], check=True, timeout=30)


def end(letter: Path) -> str:
    return str(json.loads((letter.parent / "runs" / "order-1" / "exit.json").read_text())["detail"])


def test_a_job_for_nobody_starts_nothing_and_takes_back_what_waits_behind_it(letter: Path) -> None:
    start(letter)

    assert end(letter) == "nobody has looked after it for 15 minutes, so it didn't start"
    assert (letter.parent / "took back").read_text() == "yes", (
        "with the caller's variables, where its commands are found"
    )
    assert not letter.exists(), "it holds keys"


def test_a_job_that_somebody_looks_after_takes_back_nothing(letter: Path) -> None:
    (letter.parent / "heard").touch()

    start(letter)

    assert "no-such-interface" in end(letter)
    assert not (letter.parent / "took back").exists()


def test_a_job_whose_order_was_given_up_does_nothing(letter: Path) -> None:
    letter.unlink()

    start(letter)

    assert not (letter.parent / "runs").exists()


def test_what_is_the_node_s_or_the_job_s_own_is_not_the_caller_s(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"_CONDOR_SCRATCH_DIR": "/node", "LS_JOBPID": "1", "JOB_ID": "7", "TMP": "/node", "SLURM_JOB_ID": "1"}
    for name in (*own, "QUEUE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    callers = dict.fromkeys([*own, "TEMP", "TMPDIR"], "callers")

    environ = queued.environ_of({"order": "order-1", "variables": {**callers, "QUEUE": "of mine", "MINE": "yes"}})

    assert {name: environ[name] for name in own} == own
    assert "callers" not in environ.values()
    assert (environ["QUEUE"], environ["MINE"]) == ("of mine", "yes"), "no queue has set that here"


def test_a_node_that_doesn_t_find_itself_says_which_and_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "node-7.invalid")

    with pytest.raises(OSError, match=r"^node-7\.invalid doesn't find an address of its own name \(.*`interface`"):
        queued.address_of("")
