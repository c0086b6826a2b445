"""What goes wrong on a bare machine, and the sentence in which it ends."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from pathlib import Path

import pytest

from tests.boot.restore.index import wheel
from tests.boot.restore.machine import MINOR, Machine, environment, pins
from tests.mounts import mounted
from tradewind.model.environment import Artifact, Environment, Package, Source


def refusal(machine: Machine, wanted: Environment, **words: object) -> tuple[str, str]:
    """Return code and reason, and see that nothing half made is left."""
    last = machine.run(wanted, **words)[-1]
    assert not machine.directory(wanted).exists()
    home = machine.cache / "environments"
    if home.is_dir():
        assert [path.name for path in home.iterdir() if ".making" in path.name] == []
    return last["failed"], last["reason"]


def test_a_download_that_breaks_off_names_the_package(machine: Machine) -> None:
    machine.index.add("alpha")
    machine.index.add("broken", size=200_000)
    machine.index.cut.add("broken")

    code, reason = refusal(machine, environment(*pins("alpha", "broken")))

    assert code == "unreachable"
    assert "broken 1.0 broke off" in reason


def test_wrong_bytes_from_an_index_are_not_used(machine: Machine) -> None:
    machine.index.add("forged")
    machine.index.changed.add("forged")

    code, reason = refusal(machine, environment(*pins("forged")))

    assert code == "wrong_bytes"
    assert "forged" in reason


def test_another_file_of_the_same_version_is_not_used(machine: Machine) -> None:
    machine.index.add("alpha")

    code, reason = refusal(machine, environment(Package(name="alpha", version="1.0", sha256="0" * 64)))

    assert code == "wrong_bytes"
    assert reason.startswith("alpha 1.0 in the index isn't the file that was recorded")


@pytest.mark.parametrize("fault", ["cut", "changed", "gone", "unnamed"])
def test_a_broken_file_that_travelled_is_not_used(machine: Machine, fault: str) -> None:
    name, text = wheel("mine", size=5000)
    files = (Artifact(file_name=name, sha256=hashlib.sha256(text).hexdigest(), size=len(text)),)
    wanted = environment(
        Package(name="mine", version="1.0", source=Source.DIRECTORY, artifact=files[0].sha256), artifacts=files
    )
    served = {"cut": text[:100], "changed": text[:-1] + b"x"}.get(fault)
    if served is not None:
        machine.index.plain["/signed"] = served
    given = {} if fault == "unnamed" else {files[0].sha256: f"{machine.index.url}/signed?signature=hidden"}

    code, reason = refusal(machine, wanted, files=given)

    expected = {"cut": "wrong_bytes", "changed": "wrong_bytes", "gone": "unreachable", "unnamed": "no_artifact"}
    assert code == expected[fault]
    assert name in reason
    assert "hidden" not in reason


@pytest.mark.parametrize(
    "tag", ["cp311-cp311-win_amd64", "cp27-cp27m-manylinux_2_17_x86_64", "py3-none-macosx_11_0_arm64"]
)
def test_a_package_without_a_wheel_for_this_machine_is_named_with_ways_out(machine: Machine, tag: str) -> None:
    machine.index.add("alpha")
    machine.index.add("elsewhere", tag=tag)

    code, reason = refusal(machine, environment(*pins("alpha", "elsewhere")))

    assert code == "no_wheel"
    assert reason.startswith("elsewhere 1.0 has no wheel for this machine (Linux ")
    assert f"Python {MINOR}" in reason
    assert "Ways out:" in reason


def test_a_version_that_is_not_there_is_named(machine: Machine) -> None:
    machine.index.add("alpha", "2.0")

    assert refusal(machine, environment(*pins("alpha")))[1].startswith("alpha 1.0 isn't in the index (http://")


def test_a_package_that_is_not_there_is_named(machine: Machine) -> None:
    assert refusal(machine, environment(*pins("nowhere")))[1].startswith("nowhere 1.0 isn't in the index (http://")


def test_an_index_that_asks_for_a_password_says_so(machine: Machine) -> None:
    machine.index.add("private")
    machine.index.locked.add("private")

    code, reason = refusal(machine, environment(*pins("private")))

    assert code == "password"
    assert "asks for a password" in reason


def test_an_index_that_cannot_be_reached_is_named_without_its_password(machine: Machine) -> None:
    wanted = environment(*pins("alpha"))

    lines = machine.run(wanted, indexes=("http://ada:secret@127.0.0.1:9/simple",))

    assert lines[-1]["failed"] == "unreachable"
    assert "http://***@127.0.0.1:9/simple" in lines[-1]["reason"]
    assert "secret" not in str(lines)


def test_no_python_of_that_version_names_both_and_the_ways_out(machine: Machine) -> None:
    machine.environ["UV_PYTHON_INSTALL_MIRROR"] = "http://127.0.0.1:9"
    machine.environ["UV_HTTP_RETRIES"] = "0"

    code, reason = refusal(machine, environment(*pins("alpha"), python="3.14.0"))

    assert code == "no_python"
    assert "of Python 3.14.0" in reason
    assert f"this machine has Python {MINOR}" in reason
    assert "install python3.14" in reason


def test_a_directory_of_the_caller_that_did_not_travel_is_named(machine: Machine) -> None:
    mine = Package(name="mine", version="1.0", source=Source.EDITABLE, url="file:///home/ada/mine")

    code, reason = refusal(machine, environment(mine))

    assert code == "no_artifact"
    assert reason.startswith("mine 1.0 is from a checkout of the caller")


def test_a_full_disk_says_how_much_is_left(machine: Machine) -> None:
    machine.index.add("large", size=3_000_000)
    with mounted(machine.home, "size=2m"):
        code, reason = refusal(machine, environment(*pins("large")))

    assert code == "disk_full"
    assert "disk of the machine is full" in reason
    assert "MB left" in reason


def test_a_full_disk_while_a_file_is_fetched_says_so(machine: Machine) -> None:
    name, text = wheel("mine", size=3_000_000)
    machine.index.plain["/mine"] = text
    files = (Artifact(file_name=name, sha256=hashlib.sha256(text).hexdigest(), size=len(text)),)
    mine = Package(name="mine", version="1.0", source=Source.DIRECTORY, artifact=files[0].sha256)
    with mounted(machine.home, "size=2m"):
        code, _ = refusal(
            machine, environment(mine, artifacts=files), files={files[0].sha256: f"{machine.index.url}/mine"}
        )

    assert code == "disk_full"


def test_a_full_disk_while_uv_is_fetched_says_so_and_is_left_with_room(machine: Machine, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "uv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("uv-99.0.0.data/scripts/uv", bytes(8_000_000))
    tag = f"py3-none-musllinux_1_1_{os.uname().machine}"
    machine.index.wheels["uv"] = [(f"uv-99.0.0-{tag}.whl", (tmp_path / "uv.zip").read_bytes())]
    machine.environ["PATH"] = "/usr/bin:/bin"
    with mounted(machine.home, "size=2m"):
        code, _ = refusal(machine, environment(*pins("alpha")))
        left = shutil.disk_usage(machine.home).free

    assert code == "disk_full"
    assert left > 1_500_000


def test_a_home_that_cannot_be_written_is_named(machine: Machine) -> None:
    with mounted(machine.home, "ro"):
        code, reason = refusal(machine, environment(*pins("alpha")))

    assert code == "not_writable"
    assert str(machine.home) in reason
    assert "`directory`" in reason


def test_what_was_installed_and_differs_is_thrown_away(machine: Machine) -> None:
    name, text = wheel("other", "1.0")
    machine.index.wheels["alpha"] = [("alpha-1.0-py3-none-any.whl", text)]

    code, _ = refusal(machine, environment(*pins("alpha")))

    assert code in {"mismatch", "failed", "wrong_bytes"}
