"""A bare machine gets an environment, from an index and from files that travelled."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.boot.restore.index import wheel
from tests.boot.restore.machine import MINOR, Machine, environment, pins, said
from tradewind.model.environment import Artifact, Environment, Package, Source


def artifact(path: Path) -> Artifact:
    text = path.read_bytes()
    return Artifact(file_name=path.name, sha256=hashlib.sha256(text).hexdigest(), size=len(text))


def python_says(machine: Machine, wanted: Environment, code: str) -> str:
    python = machine.directory(wanted) / "bin" / "python"
    return subprocess.run([python, "-I", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def leftovers(machine: Machine) -> list[str]:
    home = machine.cache / "environments"
    return [path.name for path in home.iterdir() if ".making" in path.name] if home.exists() else []


def test_pins_are_installed_and_nothing_else(machine: Machine) -> None:
    machine.index.add("alpha", "1.0")
    machine.index.add("alpha", "2.0")
    machine.index.add("beta-two")
    wanted = environment(*pins("alpha", "beta-two"))

    last = machine.run(wanted)[-1]

    assert last["way"] == "install"
    assert last["done"] == str(machine.directory(wanted))
    assert python_says(machine, wanted, "import alpha, beta_two; print(alpha.version, beta_two.version)") == "1.0 1.0"
    assert leftovers(machine) == []


def test_the_second_time_nothing_is_asked(machine: Machine) -> None:
    machine.index.add("alpha")
    wanted = environment(*pins("alpha"))
    machine.run(wanted)
    machine.index.asked.clear()

    last = machine.run(wanted)[-1]

    assert last["way"] == "present"
    assert not machine.index.asked


def test_a_package_comes_from_the_index_it_was_captured_from(machine: Machine) -> None:
    machine.index.add("alpha")
    elsewhere = "http://127.0.0.1:9/simple"  # nobody listens: asked for alpha, the run would fail
    wanted = environment(Package(name="alpha", version="1.0", url=f"{machine.index.url}/simple"))

    assert machine.run(wanted, indexes=(elsewhere,))[-1]["way"] == "install"


def test_a_version_comes_from_the_first_index_that_has_it(machine: Machine, tmp_path: Path) -> None:
    machine.index.add("alpha", "2.0")
    second = tmp_path / "second" / "alpha"
    second.mkdir(parents=True)
    name, text = wheel("alpha", "1.0")
    (second / name).write_bytes(text)
    (second / "index.html").write_text(f"<a href='{name}'>{name}</a>")
    indexes = ("file:///nowhere/simple", f"{machine.index.url}/simple", (tmp_path / "second").as_uri())

    assert machine.run(environment(*pins("alpha")), indexes=indexes)[-1].get("way") == "install"


def test_wheels_and_modules_that_travelled_are_installed(machine: Machine, tmp_path: Path) -> None:
    name, text = wheel("mine", "0.3.dev1+gabc")
    built = tmp_path / name
    built.write_bytes(text)
    modules = tmp_path / "modules-1.zip"
    with zipfile.ZipFile(modules, "w") as archive:
        archive.writestr("helpful.py", "answer = 42\n")
        archive.writestr("science/__init__.py", "")
        archive.writestr("science/sea.py", "level = 3\n")
    files = (artifact(built), artifact(modules))
    mine = Package(name="mine", version="0.3.dev0+gold", source=Source.EDITABLE, artifact=files[0].sha256)
    wanted = environment(mine, artifacts=files)
    machine.index.plain["/signed"] = modules.read_bytes()

    addresses = {files[0].sha256: str(built), files[1].sha256: f"{machine.index.url}/signed"}
    last = machine.run(wanted, files=addresses)[-1]

    assert last.get("way") == "install", last
    told = python_says(machine, wanted, "import mine, helpful, science.sea as s; print(mine.version, helpful.answer)")
    assert told == "0.3.dev1+gabc 42"


def test_many_at_once_make_it_once(machine: Machine) -> None:
    machine.index.add("alpha")
    machine.index.delay_s = 1.0
    wanted = environment(*pins("alpha"))

    answers = [said(process) for process in [machine.start(wanted) for _ in range(4)]]

    assert sorted(lines[-1]["way"] for lines in answers) == ["install", "present", "present", "present"]
    assert machine.index.asked[f"/files/{wheel('alpha')[0]}"] == 1
    waited = [line for lines in answers for line in lines if line.get("step") == "wait"]
    assert any(line["other"].get("step") == "packages" for line in waited), "who waits says how far the other is"


@pytest.mark.parametrize("step", ["uv", "python", "packages", "artifacts", "verify"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_killed_at_a_step_it_is_absent_and_made_the_next_time(
    machine: Machine, step: str, number: signal.Signals
) -> None:
    machine.index.add("alpha")
    machine.index.delay_s = 0.3
    wanted = environment(*pins("alpha"))

    process = machine.start(wanted)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line).get("step") == step:
            break
    process.send_signal(number)
    process.wait(20)

    assert not machine.directory(wanted).exists()
    assert machine.run(wanted)[-1]["way"] == "install"
    assert leftovers(machine) == []


def test_a_wreck_at_its_place_is_no_environment(machine: Machine) -> None:
    machine.index.add("alpha")
    wanted = environment(*pins("alpha"))
    (machine.directory(wanted) / "bin").mkdir(parents=True)

    assert machine.run(wanted)[-1]["way"] == "install"
    assert python_says(machine, wanted, "import alpha; print(alpha.version)") == "1.0"


def test_uv_is_fetched_from_the_index_where_the_machine_has_none(machine: Machine, tmp_path: Path) -> None:
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if uv is None:
        pytest.skip("uv isn't installed here, so there is nothing to serve")
    packed = tmp_path / "uv.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(uv, "uv-99.0.0.data/scripts/uv")
    machine.index.wheels["uv"] = [
        (f"uv-99.0.0-py3-none-musllinux_1_1_{os.uname().machine}.whl", packed.read_bytes()),
        ("uv-99.0.1-py3-none-win_amd64.whl", b"for another machine"),
    ]
    machine.index.add("alpha")
    machine.environ["PATH"] = "/usr/bin:/bin"
    wanted = environment(*pins("alpha"))

    last = machine.run(wanted)[-1]

    assert last.get("way") == "install", last
    assert (machine.cache / "tools" / "uv").exists()


def test_environments_nobody_used_are_removed_and_used_ones_kept(machine: Machine) -> None:
    machine.index.add("alpha")
    old, running, young, new = (environment(*pins("alpha"), python=f"{MINOR}.{patch}") for patch in range(4))
    for wanted in (old, running, young):
        machine.run(wanted)
    for wanted in (old, running):
        month_ago = time.time() - 30 * 86400
        os.utime(machine.directory(wanted) / "environment.json", (month_ago, month_ago))
    process = subprocess.Popen([machine.directory(running) / "bin" / "python", "-c", "input()"], stdin=subprocess.PIPE)
    try:
        machine.run(new, keep_days=14)
        wait_for(lambda: directories(machine) == {wanted.content_hash for wanted in (running, young, new)})
    finally:
        process.communicate()


def test_it_has_answered_and_ended_before_the_cache_is_gone_through(machine: Machine) -> None:
    machine.index.add("alpha")
    old, new = (environment(*pins("alpha"), python=f"{MINOR}.{patch}") for patch in range(2))
    machine.run(old)
    month_ago = time.time() - 30 * 86400
    os.utime(machine.directory(old) / "environment.json", (month_ago, month_ago))
    marks = machine.directory(old).with_name(old.content_hash + ".users")
    marks.mkdir()
    os.mkfifo(marks / "one")  # whoever reads the mark waits until it is written

    process = machine.start(new, keep_days=14)
    try:
        answer = said(process)[-1]
        there = directories(machine)
    finally:
        writer = os.open(marks / "one", os.O_RDWR)
        (marks / "one").unlink()
        os.close(writer)

    assert answer["way"] == "install"
    assert there >= {old.content_hash, new.content_hash}
    wait_for(lambda: directories(machine) == {new.content_hash})


def directories(machine: Machine) -> set[str]:
    return {path.name for path in (machine.cache / "environments").iterdir() if path.is_dir()}


def wait_for(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.05)
