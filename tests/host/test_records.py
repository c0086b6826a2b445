import json
import os
import subprocess
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.mounts import mounted
from tradewind.boot.birth import birth_of, is_alive, signal_process
from tradewind.host import sweep
from tradewind.host.records import Exit, Records, Run
from tradewind.model.instance import Contact, InstanceStatus, Marks, Role

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def marks(order: str, role: Role = Role.SCHEDULER) -> Marks:
    return Marks(installation="x", workspace="w", cluster="c", instance="i", order=order, role=role)


def claimed(records: Records, order: str, **changed: object) -> Run:
    run = records.run(order)
    assert run.make_claim(marks(order), NOW)
    path = run.directory / "instance.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    return run


def status(run: Run) -> InstanceStatus:
    claim = run.claim()
    assert claim is not None
    return run.observe(claim).status


def test_a_second_claim_fails_and_leaves_the_first(tmp_path: Path) -> None:
    run = claimed(Records(tmp_path), "o-1")
    assert not run.make_claim(marks("o-1"), NOW + timedelta(days=1))
    claim = run.claim()
    assert claim is not None
    assert (claim.pid, claim.started_at, claim.marks) == (os.getpid(), NOW, marks("o-1"))
    assert sorted(path.name for path in run.directory.iterdir()) == ["instance.json", "room"]


def test_a_scheduler_runs_once_it_can_be_reached(tmp_path: Path) -> None:
    records = Records(tmp_path)
    run = claimed(records, "o-1")
    assert status(run) is InstanceStatus.STARTING
    contact = Contact(scheduler="tls://127.0.0.1:1", agent="https://127.0.0.1:2")
    records.announce(marks("o-1"), contact)
    assert status(run) is InstanceStatus.RUNNING
    assert records.contact_of("c") == contact
    run.note("stopping")
    assert status(run) is InstanceStatus.STOPPING


def test_a_scheduler_that_goes_does_not_forget_the_contact_of_its_successor(tmp_path: Path) -> None:
    records = Records(tmp_path)
    for order, port in (("o-1", 1), ("o-2", 2)):
        claimed(records, order)
        records.announce(marks(order), Contact(scheduler=f"tls://127.0.0.1:{port}", agent="https://127.0.0.1:9"))
    records.withdraw(marks("o-1"))
    found = records.contact_of("c")
    assert found is not None
    assert found.scheduler.endswith(":2")
    records.withdraw(marks("o-2"))
    assert records.contact_of("c") is None


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"birth": "another"}, "keeper process was killed"),
        ({"pid": 2**22 + 1}, "keeper process was killed"),
        ({"boot": "before"}, "machine was restarted"),
    ],
)
def test_a_dead_keeper_without_an_exit_record_has_stopped_nobody_knows_when(
    tmp_path: Path, changed: dict[str, object], words: str
) -> None:
    run = claimed(Records(tmp_path), "o-1", **changed)
    claim = run.claim()
    assert claim is not None
    seen = run.observe(claim)
    assert seen.status is InstanceStatus.STOPPED
    assert seen.stopped_at is None
    assert words in seen.detail


def test_records_of_another_machine_on_a_shared_disk_are_not_ours(tmp_path: Path) -> None:
    assert claimed(Records(tmp_path), "o-1", host="elsewhere", boot="another").claim() is None


def test_an_exit_record_is_read_back(tmp_path: Path) -> None:
    run = claimed(Records(tmp_path), "o-1")
    end = Exit(stopped_at=NOW + timedelta(hours=1), exit_code=-9, detail="used too much")
    run.write_exit(end)
    assert run.exit() == end
    assert status(run) is InstanceStatus.STOPPED


def test_how_it_ended_is_written_also_where_the_disk_is_full(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m"):
        run = Records(tmp_path / "disk").run("o-1")
        assert run.make_claim(marks("o-1"), NOW)
        with suppress(OSError), (tmp_path / "disk" / "filled").open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        run.write_exit(Exit(stopped_at=NOW, exit_code=1, detail="long " * 1000))
        assert run.exit() is not None


def test_pruning_takes_the_long_dead_and_spares_the_living(tmp_path: Path) -> None:
    records = Records(tmp_path)
    claimed(records, "o-alive")
    for order in ("o-old", "o-new"):
        claimed(records, order, birth="another")
    now = datetime.now(UTC)
    old = (now - timedelta(days=8)).timestamp()
    for order in ("o-alive", "o-old"):
        os.utime(records.run(order).directory, (old, old))
    records.prune(now)
    assert sorted(run.handle for run in records.all_runs()) == ["o-alive", "o-new"]


@pytest.mark.parametrize("handle", ["", ".", "..", "a/b", "../x", "a\n", ".hidden", "x" * 200])
def test_a_handle_that_is_no_file_name_is_refused(tmp_path: Path, handle: str) -> None:
    with pytest.raises(ValueError, match="can't be the handle"):
        Records(tmp_path).run(handle)


def test_a_process_number_that_was_used_again_gets_no_signal() -> None:
    process = subprocess.Popen(["sleep", "100"])
    try:
        birth = birth_of(process.pid)
        assert birth is not None
        assert not signal_process(process.pid, birth + "0", 15)
        assert process.poll() is None
        assert signal_process(process.pid, birth, 15)
        process.wait(5)
        assert not is_alive(process.pid, birth)
    finally:
        process.kill()
        process.wait()


def test_a_sweep_leaves_the_living_alone(tmp_path: Path) -> None:
    run = claimed(Records(tmp_path), "o-1")
    claim = run.claim()
    assert claim is not None
    process = subprocess.Popen(["sleep", "100"], env={**os.environ, sweep.VARIABLE: "o-1"})
    try:
        assert sweep.sweep(run, claim) == 0
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("name", ["instance.json", "exit.json", "contact.json"])
def test_a_file_that_a_power_cut_left_empty_hides_no_other_instance(tmp_path: Path, name: str) -> None:
    records = Records(tmp_path)
    broken, whole = claimed(records, "o-1"), claimed(records, "o-2")
    (broken.directory / name).write_bytes(b"")
    assert status(whole) is InstanceStatus.STARTING
    claims = {run.handle: run.claim() for run in records.all_runs()}
    assert (claims["o-1"] is None) == (name == "instance.json")
    if claims["o-1"] is not None:
        assert status(broken) is InstanceStatus.STARTING
    records.prune(NOW)
