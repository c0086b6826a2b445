"""The programs that a host's bare Python runs, without any SSH: asked over pipes."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.mounts import mounted
from tradewind.boot.birth import birth_of, machine_boot
from tradewind.host.bare import ground, program
from tradewind.host.records import Records, read_claim
from tradewind.model.instance import InstanceStatus, Marks, Role


def oldest() -> list[str]:
    """Return the oldest Python that will do, where there is one."""
    found = [shutil.which("python3.9"), *map(str, Path.home().glob(".pyenv/versions/3.9*/bin/python3.9"))]
    return [
        path
        for path in found
        if path is not None and not subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode
    ][:1]


PYTHONS = [sys.executable, *oldest()]
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="hosts run Linux")


class Asked:
    """A station with somebody who asks it."""

    def __init__(self, root: Path, python: str = sys.executable) -> None:
        self.root = root
        self.pokes = 0
        self.process = subprocess.Popen(
            [python, "-I", "-u", "-c", ground.LOADER], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        text = program()
        head = json.dumps({"as": "station", "root": str(root)}).encode()
        self.say(b"%d\n" % len(text) + text + head + b"\n")
        self.hello = self.hear()
        self.number = 0

    def say(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        while "poke" in (line := json.loads(self.process.stdout.readline())):
            self.pokes += 1
        return dict(line)

    def ask(self, verb: str, **question: Any) -> dict[str, Any]:
        self.number += 1
        self.say(json.dumps({"id": self.number, "verb": verb, **question}).encode() + b"\n")
        answer = self.hear()
        assert answer["id"] == self.number
        return answer

    def until_dead(self, handle: str) -> dict[str, Any]:
        until = time.monotonic() + 20
        while True:
            facts = self.ask("list")["runs"].get(handle)
            if facts is not None and (facts["exit"] or not facts["alive"]):
                return dict(facts)
            assert time.monotonic() < until
            time.sleep(0.05)


@pytest.fixture(params=PYTHONS, ids=os.path.basename)
def station(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Asked]:
    asked = Asked(tmp_path / "root", request.param)
    yield asked
    names = [claim.parent.name for claim in asked.root.glob("runs/*/instance.json")]
    asked.ask("end", handles=names, installation="x")
    until = time.monotonic() + 20
    while any(is_alive(claim) for claim in asked.root.glob("runs/*/instance.json")):
        assert time.monotonic() < until, "what is asked to end ends"
        time.sleep(0.02)
    assert asked.process.stdin is not None
    asked.process.stdin.close()
    assert asked.process.wait(10) == 0, "it ends with the line"


def is_alive(claim: Path) -> bool:
    data = json.loads(claim.read_text())
    return birth_of(data["pid"]) == data["birth"]


LIMITS = {"cpus": 4, "memory": 1000, "gpus": 2}
RESTORED = "import json,sys;json.load(sys.stdin);print(json.dumps({'done':'/x','python':%r}))"


def order(handle: str, restore: str, *, ends_at: float | None = None, **share: float) -> dict[str, Any]:
    marks = {"installation": "x", "workspace": "w", "cluster": "c", "instance": "i", "order": handle, "role": "worker"}
    return {
        "order": handle,
        "marks": marks,
        "share": {"cpus": 1, "memory": 100, "gpus": 0, "alone_s": 600.0} | share,
        "ends_at": ends_at,
        "python": "",
        "restore": {"program": restore, "order": {"secret": "do-not-tell"}},
        "variables": {},
        "task": {},
    }


def start(station: Asked, one: dict[str, Any]) -> dict[str, Any]:
    return station.ask("start", order=one, limits=LIMITS, until=time.time() + 60)


SLEEPS = "import time;time.sleep(100)"


def test_a_claim_is_one_that_our_own_records_read(station: Asked) -> None:
    before = datetime.now(UTC)
    assert start(station, order("o-1", SLEEPS))["claimed"] is True
    claim = Records(station.root).run("o-1").claim()
    assert claim is not None
    assert claim.is_alive
    assert claim.boot == machine_boot()
    assert claim.marks == Marks(
        installation="x", workspace="w", cluster="c", instance="i", order="o-1", role=Role.WORKER
    )
    assert before <= claim.started_at <= datetime.now(UTC)
    assert read_claim(station.ask("list")["runs"]["o-1"]["claim"]) == claim
    assert Records(station.root).run("o-1").observe(claim).status is InstanceStatus.STARTING


DEEP = "[" * 3000
WRONG = (DEEP, "{}", "[]", "1e999", '{"pid": 1e999}', "\x00", " " * (1 << 20) + "{}")


@pytest.mark.parametrize("name", ["instance.json", "exit.json", "contact.json", "crew.json"])
def test_whatever_stands_in_one_run_the_others_are_told(station: Asked, name: str) -> None:
    assert start(station, order("o-1", SLEEPS, cpus=0, memory=0))["claimed"] is True
    mine = station.root / "runs" / "o-1" / "instance.json"
    for number, text in enumerate(WRONG):
        other = station.root / "runs" / f"o-wrong-{number}"
        other.mkdir()
        shutil.copy(mine, other / "instance.json")
        (other / name).write_text(text)
    strange = station.root / "runs" / "o-strange"
    strange.mkdir()
    if name != "instance.json":
        shutil.copy(mine, strange / "instance.json")
    os.mkfifo(strange / name)
    runs = station.ask("list")["runs"]
    assert runs["o-1"]["alive"] is True
    assert all(facts[name.partition(".")[0]] in ({}, None) for run, facts in runs.items() if run != "o-1")
    assert start(station, order("o-2", SLEEPS))["claimed"] is True
    for path in station.root.glob("runs/o-[ws]*"):
        shutil.rmtree(path)


@pytest.mark.parametrize(
    "changed",
    [
        {"cpus": "all"},
        {"memory": 1e999},
        {"gpus": 7},
        {"pid": "one"},
        {"boot": None},
        {"marks": {}},
        {"marks": [1]},
        {"started_at": "soon"},
        {"alone_s": float("nan")},
    ],
)
def test_a_claim_that_makes_no_sense_is_none(station: Asked, changed: dict[str, Any]) -> None:
    assert start(station, order("o-1", SLEEPS))["claimed"] is True
    claim = json.loads((station.root / "runs" / "o-1" / "instance.json").read_text())
    other = station.root / "runs" / "o-wrong"
    other.mkdir()
    (other / "instance.json").write_text(json.dumps(claim | changed))
    assert set(station.ask("list")["runs"]) == {"o-1"}
    assert station.ask("end", handles=["o-wrong"], installation="x")
    assert start(station, order("o-2", SLEEPS))["claimed"] is True
    shutil.rmtree(other)


def test_only_what_changed_is_told_again(station: Asked) -> None:
    start(station, order("o-1", SLEEPS))
    assert set(station.ask("list")["runs"]) == {"o-1"}
    assert station.ask("list")["runs"] == {}
    shutil.rmtree(station.root / "runs" / "o-1")
    assert station.ask("list")["runs"] == {"o-1": None}


def test_what_comes_up_is_told_at_once_to_who_asks_all_the_time(station: Asked) -> None:
    start(station, order("o-1", SLEEPS))
    until = time.monotonic() + 1.5
    while not station.pokes:
        assert time.monotonic() < until, "that it was claimed is news"
        station.ask("list")
        time.sleep(0.02)
    heard = station.pokes
    station.root.joinpath("runs", "o-1", "ready").touch()
    until = time.monotonic() + 1.0
    while station.pokes == heard:
        assert time.monotonic() < until, "that it is up is news"
        station.ask("list")
        time.sleep(0.02)


def test_the_same_order_twice_is_claimed_once(station: Asked) -> None:
    assert start(station, order("o-1", SLEEPS))["claimed"] is True
    assert start(station, order("o-1", SLEEPS))["claimed"] is False


def test_a_host_is_not_filled_beyond_its_limits(station: Asked) -> None:
    assert start(station, order("o-1", SLEEPS, cpus=3, memory=500, gpus=1))["claimed"] is True
    assert "3 of 4 cores are taken" in start(station, order("o-2", SLEEPS, cpus=2))["full"]
    assert "500 of 1000 bytes of memory" in start(station, order("o-3", SLEEPS, memory=501))["full"]
    assert "1 of 2 GPUs" in start(station, order("o-4", SLEEPS, gpus=2))["full"]
    assert start(station, order("o-5", SLEEPS, cpus=1, memory=500, gpus=1))["claimed"] is True
    runs = station.ask("list")["runs"]
    assert [runs[handle]["claim"]["gpus"] for handle in ("o-1", "o-5")] == [[0], [1]]
    assert start(station, order("o-6", SLEEPS, cpus=0, memory=0))["claimed"] is True


def test_what_could_not_be_restored_ends_with_its_reason(station: Asked) -> None:
    said = {"failed": "no_wheel", "reason": "frob 1.0 has no wheel for this machine", "detail": "lines"}
    start(station, order("o-1", f"import sys;print({json.dumps(said)!r});sys.exit(1)"))
    facts = station.until_dead("o-1")
    assert facts["exit"]["detail"] == "frob 1.0 has no wheel for this machine"
    assert facts["exit"]["exit_code"] == 1
    assert station.ask("tail", handle="o-1", lines=1)["lines"] == ["lines"]


@pytest.mark.parametrize(
    ("restore", "words"),
    [
        ("import sys;sys.exit('it broke here')", "ended with exit code 1: it broke here"),
        ("import os;os.kill(os.getpid(), 9)", "ended with exit code -9: without a word"),
        ("print('{}')", "ended with exit code 0: without a word"),
        (RESTORED % "/none/python", "/none/python can't be run: No such file or directory"),
    ],
)
def test_a_broken_restore_ends_with_what_is_known(station: Asked, restore: str, words: str) -> None:
    start(station, order("o-1", restore))
    assert station.until_dead("o-1")["exit"]["detail"].endswith(words)


FILLS = """
import contextlib, json
with contextlib.suppress(OSError), open("filled", "wb", buffering=0) as file:
    while True:
        file.write(bytes(4096))
print(json.dumps({"failed": "disk_full", "reason": "The disk of the machine is full", "detail": "No space " * 1000}))
raise SystemExit(1)
"""


def test_what_ends_since_its_disk_is_full_still_says_so(tmp_path: Path) -> None:
    with mounted(tmp_path / "root", "size=1m"):
        station = Asked(tmp_path / "root")
        start(station, order("o-1", FILLS))
        facts = station.until_dead("o-1")
        assert (facts["exit"] or facts)["detail"] == "The disk of the machine is full"
        assert station.ask("tail", handle="o-1", lines=1)["lines"][0].endswith("No space ")
        assert shutil.disk_usage(tmp_path / "root").free < 32768, "it was full"
        assert station.process.stdin is not None
        station.process.stdin.close()
        station.process.wait(10)


def test_its_steps_are_told_while_it_goes_on(station: Asked) -> None:
    steps = "import json,time;print(json.dumps({'step':'packages','done':3,'of':8}),flush=True);time.sleep(100)"
    start(station, order("o-1", steps))
    until = time.monotonic() + 10
    while station.ask("list")["runs"].get("o-1", {}).get("progress") != "installing packages 3 of 8":
        assert time.monotonic() < until
        time.sleep(0.02)


def test_what_is_asked_to_end_while_it_restores_ends_and_leaves_no_process(station: Asked) -> None:
    handle = f"o-{os.getpid()}"  # what is left of it is looked for on the whole machine
    stubborn = "import signal,subprocess;subprocess.Popen(['sleep','100']);signal.pause()"
    start(station, order(handle, stubborn))
    time.sleep(0.5)
    station.ask("end", handles=[handle, "o-never", f"../{handle}"], installation="another")
    assert station.ask("list")["runs"][handle]["alive"]
    station.ask("end", handles=[handle], installation="x")
    facts = station.until_dead(handle)
    assert facts["exit"]["detail"] == "was asked to end"
    time.sleep(0.1)
    assert not left(handle)


def left(handle: str) -> list[str]:
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"TRADEWIND_INSTANCE={handle}".encode() in environ.read_bytes().split(b"\0"):
                found.append((environ.parent / "cmdline").read_text())
        except OSError:
            continue
    return [line for line in found if line]


def test_what_expires_while_it_restores_ends(station: Asked) -> None:
    start(station, order("o-1", SLEEPS, ends_at=time.time() + 0.5))
    assert station.until_dead("o-1")["exit"]["detail"].startswith("its time was over: it was to end at 20")


def test_a_killed_starter_takes_what_it_had_started(station: Asked) -> None:
    start(station, order("o-kill", "import subprocess;subprocess.run(['sleep','100'])"))
    until = time.monotonic() + 10
    while not any("sleep" in line for line in left("o-kill")):
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(station.ask("list")["runs"]["o-kill"]["claim"]["pid"], signal.SIGKILL)
    facts = station.until_dead("o-kill")
    assert facts["exit"] is None
    time.sleep(0.1)
    assert not left("o-kill")


AHEAD = """
import json, signal, sys, time
order = json.load(sys.stdin)
def end(*_):
    open(order["ended"], "w").close()
    sys.exit()
signal.signal(signal.SIGTERM, end)
open(order["began"], "w").close()
time.sleep(100)
"""


def test_what_is_made_ahead_is_made_once_at_a_time_and_asked_to_end_with_the_line(tmp_path: Path) -> None:
    asked = Asked(tmp_path / "root")
    order = {name: str(tmp_path / name) for name in ("began", "ended")}
    assert asked.ask("ahead", program=AHEAD, order=order)["begun"] is True
    assert asked.ask("ahead", program=AHEAD, order=order)["begun"] is False
    until = time.monotonic() + 10
    while not (tmp_path / "began").exists():
        assert time.monotonic() < until
        time.sleep(0.02)
    assert asked.ask("list")["runs"] == {}, "it is no instance"

    assert asked.process.stdin is not None
    asked.process.stdin.close()

    assert asked.process.wait(10) == 0
    while not (tmp_path / "ended").exists():
        assert time.monotonic() < until + 10
        time.sleep(0.02)


def test_what_it_started_outlives_the_line(tmp_path: Path) -> None:
    first = Asked(tmp_path)
    start(first, order("o-1", SLEEPS))
    assert first.process.stdin is not None
    first.process.stdin.close()
    first.process.wait(10)
    second = Asked(tmp_path)
    assert second.ask("list")["runs"]["o-1"]["alive"]
    second.ask("end", handles=["o-1"], installation="x")
    second.until_dead("o-1")
    second.process.kill()
    second.process.wait()


def test_a_secret_of_an_order_is_in_no_argument_variable_or_file(station: Asked) -> None:
    start(station, order("o-1", SLEEPS))
    claim = station.ask("list")["runs"]["o-1"]["claim"]
    texts = [Path(f"/proc/{claim['pid']}/{name}").read_bytes() for name in ("cmdline", "environ")]
    texts += [path.read_bytes() for path in station.root.rglob("*") if path.is_file()]
    assert len(texts) > 3
    assert not [text for text in texts if b"do-not-tell" in text]


def test_a_file_that_arrived_broken_is_not_kept(station: Asked) -> None:
    place = station.ask("have", files={"ab" * 32: ["x.whl", 3]})["files"]["ab" * 32]
    assert place["there"] is False
    draft = Path(place["path"] + ".draft")
    draft.write_bytes(b"abc")
    assert station.ask("keep", draft=str(draft), path=place["path"], sha256="ab" * 32)["error"] == "it arrived broken"
    assert os.listdir(draft.parent) == []


def test_a_file_that_arrived_is_there_for_all(station: Asked) -> None:
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    place = station.ask("have", files={sha256: ["x.whl", 3]})["files"][sha256]
    draft = Path(place["path"] + ".draft")
    draft.write_bytes(b"abc")
    assert "error" not in station.ask("keep", draft=str(draft), path=place["path"], sha256=sha256)
    assert station.ask("have", files={sha256: ["x.whl", 3]})["files"][sha256]["there"] is True
    assert station.ask("have", files={sha256: ["x.whl", 4]})["files"][sha256]["there"] is False


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ("sys.version_info = (3, 8, 2)", "Python 3.9 or newer is needed"),
        ("sys.platform = 'darwin'", "Linux is needed, and this is darwin"),
    ],
)
def test_a_python_or_a_system_that_will_not_do_says_so(patch: str, words: str) -> None:
    code = f"import sys;{patch};exec({ground.LOADER!r})"
    done = subprocess.run([sys.executable, "-I", "-c", code], input=b"", capture_output=True, check=False)
    assert words in done.stderr.decode()


def test_the_loader_may_stand_between_single_quotes_of_any_shell() -> None:
    assert not set("'\\!\n") & set(ground.LOADER)
