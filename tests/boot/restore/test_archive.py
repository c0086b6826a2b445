"""A packed environment: what comes out is what went in, or nothing does."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.boot.restore.machine import Machine, environment, pins
from tradewind.boot.restore import archive
from tradewind.boot.restore.archive import BadArchive, CantPack, pack, unpack
from tradewind.model.environment import Artifact, Environment, Package, Source

HASH = "a" * 64


def tree(directory: Path) -> dict[str, Any]:
    """Return everything below a directory: bytes or target, mode and time of each file."""
    found: dict[str, Any] = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if path.is_symlink():
            found[name] = os.readlink(path)
        elif path.is_file():
            facts = path.stat()
            found[name] = (path.read_bytes(), facts.st_mode & 0o777, int(facts.st_mtime))
    return found


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(archive, "PORTION", 50_000)  # so that little makes many members
    made = tmp_path / "packed"
    for number in range(40):
        path = made / f"lib/python3.11/site-packages/p{number % 7}" / ("deep/" * (number % 4)) / f"m{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 500))
        os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number))
    (made / "bin").mkdir()
    (made / "bin" / "dask").write_text("#!/bin/sh\n")
    (made / "bin" / "dask").chmod(0o755)
    (made / "lib" / "libx.so").symlink_to("libx.so.1")
    (made / "lib64").symlink_to("lib")
    (made / ("long-" * 40)).write_text("a name longer than old tars allow")
    (made / "größe.txt").write_text("not ascii")
    (made / "bin" / "python").symlink_to("/usr/bin/python3")  # left out: it is of one machine
    (made / "pyvenv.cfg").write_text("home = /elsewhere\n")
    return made


def unpacked(path: Path, out: Path, *, content_hash: str = HASH, final: str = "", sha256: str = "") -> int:
    told = sha256 or hashlib.sha256(path.read_bytes()).hexdigest()
    return unpack(str(path), str(out), content_hash=content_hash, final=final, sha256=told)


def packed(directory: Path) -> Path:
    path = directory.parent / "one.tar.gz"
    pack(str(directory), str(path), content_hash=HASH, python="3.11.2", is_conda=False)
    return path


def test_what_comes_out_is_what_went_in(directory: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    count = unpacked(packed(directory), out)

    expected = tree(directory)
    del expected["bin/python"], expected["pyvenv.cfg"]  # of one machine
    assert tree(out) == expected
    assert count == len(expected)


def test_any_program_that_reads_a_tar_reads_it(directory: Path) -> None:
    with tarfile.open(packed(directory)) as tar:
        names = tar.getnames()

    assert "bin/dask" in names
    assert len(names) == len(tree(directory)) - 2 + 1  # what belongs to one machine isn't in it, archive.json is
    listed = subprocess.run(["tar", "tzf", packed(directory)], capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == len(names)


def test_the_same_files_make_the_same_archive(directory: Path) -> None:
    assert packed(directory).read_bytes() == packed(directory).read_bytes()


@pytest.mark.parametrize("where", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_changed_byte_anywhere_is_found(directory: Path, tmp_path: Path, where: float) -> None:
    path = packed(directory)
    text = bytearray(path.read_bytes())
    text[min(int(len(text) * where), len(text) - 9)] ^= 0x10
    path.write_bytes(text)

    with pytest.raises(BadArchive):
        unpacked(path, tmp_path / "out")


def members(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        return list(archive._members(file))


@pytest.mark.parametrize("fault", ["cut", "a member is missing", "the end is missing", "two are swapped", "empty"])
def test_an_archive_that_is_not_whole_is_found(directory: Path, tmp_path: Path, fault: str) -> None:
    path = packed(directory)
    parts = members(path)
    assert len(parts) > 4
    changed = {
        "cut": b"".join(parts)[:-5],
        "a member is missing": b"".join(parts[:1] + parts[2:]),
        "the end is missing": b"".join(parts[:-1]),
        "two are swapped": b"".join([parts[1], parts[0], *parts[2:]]),
        "empty": b"",
    }
    path.write_bytes(changed[fault])

    with pytest.raises(BadArchive):
        unpacked(path, tmp_path / "out")


def test_an_archive_of_another_environment_is_refused(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(BadArchive, match="another environment"):
        unpacked(packed(directory), tmp_path / "out", content_hash="b" * 64)


def test_an_archive_with_another_hash_than_was_told_is_refused(directory: Path, tmp_path: Path) -> None:
    with pytest.raises(BadArchive, match="sha256"):
        unpacked(packed(directory), tmp_path / "out", sha256="0" * 64)


def test_files_of_conda_are_moved_to_a_directory_with_a_name_as_long(directory: Path, tmp_path: Path) -> None:
    path = tmp_path / "conda.tar.gz"
    (directory / "bin" / "python").unlink()
    (directory / "bin" / "python").symlink_to("python3.11")
    (directory / "bin" / "tide").write_bytes(b"#!" + bytes(directory) + b"/bin/python\0\0")
    pack(str(directory), str(path), content_hash=HASH, python="3.11.2", is_conda=True)

    with pytest.raises(BadArchive, match="belong to"):
        unpacked(path, tmp_path / "out", final="/elsewhere")
    assert unpacked(path, tmp_path / "same", final=str(directory)) == len(tree(directory))
    assert tree(tmp_path / "same") == tree(directory)
    unpacked(path, tmp_path / "moved", final=str(directory)[:-1] + "X")
    assert (tmp_path / "moved" / "bin" / "tide").read_bytes() == b"#!" + bytes(directory)[:-1] + b"X/bin/python\0\0"


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "lib/../../outside"])
def test_nothing_is_written_outside(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    real = tarfile.TarInfo
    monkeypatch.setattr(archive.tarfile, "TarInfo", lambda given: real(name if given == "bin/dask" else given))
    path = packed(directory)
    monkeypatch.undo()

    with pytest.raises(BadArchive, match="outside"):
        unpacked(path, tmp_path / "out")
    assert not (tmp_path / "outside").exists()


def forged(tmp_path: Path, *entries: tarfile.TarInfo, **facts: object) -> Path:
    """Return an archive whose every hash is right, with whatever somebody put into it."""
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry in entries:
            tar.addfile(entry, io.BytesIO(b"x" * entry.size))
    body = archive._member(text.getvalue())
    told = {"content_hash": HASH, "members": [hashlib.sha256(body).hexdigest()], "files": len(entries), **facts}
    end = io.BytesIO()
    with tarfile.open(fileobj=end, mode="w", format=tarfile.GNU_FORMAT) as tar:
        last = tarfile.TarInfo(archive.LAST)
        last.size = len(json.dumps(told))
        tar.addfile(last, io.BytesIO(json.dumps(told).encode()))
    path = tmp_path / "forged.tar.gz"
    path.write_bytes(body + archive._member(end.getvalue()))
    return path


def link(name: str, target: str) -> tarfile.TarInfo:
    told = tarfile.TarInfo(name)
    told.type, told.linkname = tarfile.SYMTYPE, target
    return told


def file(name: str, mode: int = 0o644) -> tarfile.TarInfo:
    told = tarfile.TarInfo(name)
    told.size, told.mode = 3, mode
    return told


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([link("lib", "/etc")], "leads outside"),
        ([link("a/b/lib", "../../../etc")], "leads outside"),
        ([link("up", "..")], "leads outside"),
        ([link("deep/er/top", "../.."), link("lib", "deep/er/top/../../etc")], "leads outside: lib"),
        ([link("deep/er/top", "../.."), link("lib", "deep/er/top/.."), link("a", "lib/x")], "leads outside"),
        ([link("lib", "other"), file("lib/x")], "twice"),
        ([file("lib/x"), link("lib", "other")], "twice"),
        ([link("a", "b"), link("a/c", "d")], "below a link"),
        ([file("x"), file("x")], "twice"),
        ([file("../x")], "outside"),
    ],
)
def test_nothing_is_written_through_a_link_or_twice(tmp_path: Path, entries: list[tarfile.TarInfo], why: str) -> None:
    path = forged(tmp_path, *entries)

    with pytest.raises(BadArchive, match=why):
        unpacked(path, tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) in (["forged.tar.gz"], ["forged.tar.gz", "out"])


def test_links_that_lead_through_others_and_stay_inside_are_made(tmp_path: Path) -> None:
    path = forged(
        tmp_path, file("lib/x"), link("lib64", "lib"), link("y", "lib64/x"), link("to/come", "../bin/python"),
        link("a", "b"), link("b", "a"),
    )  # fmt: skip

    unpacked(path, tmp_path / "out")

    assert (tmp_path / "out" / "y").read_bytes() == b"xxx"
    assert (tmp_path / "out" / "to" / "come").is_symlink()


def test_no_file_gets_the_rights_of_its_owner(tmp_path: Path) -> None:
    unpacked(forged(tmp_path, file("bin/x", mode=0o6755)), tmp_path / "out")

    assert (tmp_path / "out" / "bin" / "x").stat().st_mode & 0o7777 == 0o755


def test_what_needs_a_newer_c_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadArchive, match="newer than here"):
        unpacked(forged(tmp_path, file("x"), glibc="99.1"), tmp_path / "out")
    assert unpacked(forged(tmp_path, file("x"), glibc="2.9"), tmp_path / "two") == 1


def test_what_links_to_files_of_one_machine_is_not_packed(directory: Path) -> None:
    (directory / "lib" / "libz.so").symlink_to("/usr/lib/libz.so.1")

    with pytest.raises(CantPack, match=r"lib/libz\.so is a link to /usr/lib"):
        packed(directory)


@pytest.mark.parametrize("over", ["http", "file"])
def test_the_machines_after_the_first_unpack(machine: Machine, tmp_path: Path, over: str) -> None:
    wanted, first = restored(machine)
    place = f"{machine.index.url}/packed?signature=1" if over == "http" else str(tmp_path / "shared" / "packed.tar.gz")
    (tmp_path / "shared").mkdir()
    record = f"{machine.index.url}/record?signature=2" if over == "http" else f"file://{tmp_path}/shared/record.json"
    answer = machine.run(wanted, task="pack", publish=place, record=record, name="one")[-1]
    assert answer.get("files"), answer
    text = (
        machine.index.plain["/record?signature=2"] if over == "http" else (tmp_path / "shared/record.json").read_bytes()
    )
    assert json.loads(text) == {"name": "one", **{key: answer[key] for key in ("sha256", "size", "files")}}
    second = Machine(home=tmp_path / "second", index=machine.index)
    second.home.mkdir()
    machine.index.wheels.clear()  # nothing can be installed any more

    if over == "http":
        machine.index.plain["/packed"] = machine.index.plain.pop("/packed?signature=1")
    last = second.run(wanted, archive=place, archive_sha256=answer["sha256"])[-1]

    assert last.get("way") == "archive", last
    code = "import alpha, sys; print(alpha.version, sys.prefix != sys.base_prefix)"
    told = subprocess.run([last["python"], "-I", "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["1.0", "True"]
    assert first != last["done"]


@pytest.mark.parametrize("fault", ["absent", "cut", "another", "no hash", "refused", "nobody listens"])
def test_an_archive_that_cannot_be_used_falls_back_to_installing(machine: Machine, tmp_path: Path, fault: str) -> None:
    wanted, _ = restored(machine)
    path = tmp_path / "packed.tar.gz"
    sha256 = str(machine.run(wanted, task="pack", publish=str(path))[-1]["sha256"])
    if fault == "cut":
        path.write_bytes(path.read_bytes()[:-20])
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()  # whoever damaged it may have said so
    places = {
        "absent": str(tmp_path / "nothing.tar.gz"),
        "cut": str(path),
        "another": str(path),
        "no hash": str(path),
        "refused": f"{machine.index.url}/nothing",
        "nobody listens": "http://127.0.0.1:9/packed",
    }
    second = Machine(home=tmp_path / "second", index=machine.index)
    second.home.mkdir()

    told = {"another": "0" * 64, "no hash": ""}.get(fault, sha256)
    lines = second.run(wanted, archive=places[fault], archive_sha256=told)

    assert lines[-1].get("way") == "install", lines
    assert any("installing instead" in line.get("note", "") for line in lines)
    assert not list(second.cache.glob("packed/*"))


def test_an_archive_is_not_put_where_its_place_is_not_seen(machine: Machine, tmp_path: Path) -> None:
    wanted, _ = restored(machine)

    last = machine.run(wanted, task="pack", publish=f"file://{tmp_path}/not_mounted/packed.tar.gz")[-1]

    assert last["failed"] == "unreachable"
    assert "doesn't see" in last["reason"]
    assert not (tmp_path / "not_mounted").exists()
    assert not list(machine.cache.glob("environments/*.packing"))


def test_one_archive_serves_whatever_the_caller_edits(machine: Machine, tmp_path: Path) -> None:
    machine.index.add("alpha")
    before, base = edited(machine, tmp_path, "tide = 1"), "c" * 64
    first = machine.run(before[0], files=before[1])[-1]
    words = [first["python"], "-c", "import alpha, mine, plain"]
    subprocess.run(words, check=True, env={"PATH": "/usr/bin"})  # compiled, as by an instance
    place = tmp_path / "packed.tar.gz"
    told = machine.run(before[0], task="pack", publish=str(place), base=base)[-1]
    after = edited(machine, tmp_path, "tide = 2")
    second = Machine(home=tmp_path / "second", index=machine.index)
    second.home.mkdir()
    machine.index.wheels.clear()

    last = second.run(after[0], files=after[1], archive=str(place), archive_sha256=told["sha256"], base=base)[-1]

    assert last.get("way") == "archive", last
    code = "import alpha, mine, plain; print(mine.tide, plain.tide)"
    assert subprocess.run([last["python"], "-c", code], capture_output=True, text=True, check=True).stdout == "2 2\n"
    with tarfile.open(place) as tar:
        names = tar.getnames()
    assert not [name for name in names if "mine" in name or "plain" in name or "modules" in name], (
        "it is the caller's own"
    )
    assert [name for name in names if "alpha" in name and name.endswith(".pyc")]


def test_where_the_packages_were_installed_before_nothing_is_fetched(machine: Machine, tmp_path: Path) -> None:
    machine.index.add("alpha")
    before, after = edited(machine, tmp_path, "tide = 1"), edited(machine, tmp_path, "tide = 2")
    machine.run(before[0], files=before[1], base="c" * 64)

    last = machine.run(
        after[0], files=after[1], archive="http://127.0.0.1:9/packed", archive_sha256="d" * 64, base="c" * 64
    )[-1]

    assert last.get("way") == "install", last
    assert "fetch" not in last["seconds"]


def test_what_tasks_have_changed_is_not_packed(machine: Machine, tmp_path: Path) -> None:
    wanted, directory = restored(machine)
    (site,) = Path(directory).glob("lib/python*/site-packages")
    (site / "extra-1.0.dist-info").mkdir()
    (site / "extra-1.0.dist-info" / "METADATA").write_text("Name: extra\nVersion: 1.0\n")

    last = machine.run(wanted, task="pack", publish=str(tmp_path / "x"))[-1]

    assert last["failed"] == "mismatch"
    assert not (tmp_path / "x").exists()


def test_what_is_not_there_cannot_be_packed(machine: Machine, tmp_path: Path) -> None:
    last = machine.run(environment(*pins("alpha")), task="pack", publish=str(tmp_path / "x"))[-1]

    assert last["failed"] == "absent"


def restored(machine: Machine) -> tuple[Environment, str]:
    machine.index.add("alpha", size=100_000)
    wanted = environment(*pins("alpha"))
    last = machine.run(wanted)[-1]
    assert last["way"] == "install"
    return wanted, str(last["done"])


def edited(machine: Machine, tmp_path: Path, code: str) -> tuple[Environment, dict[str, str]]:
    """Return an environment of alpha, and of a wheel and a module of the caller's own that say ``code``."""
    made, files = [], {}
    for name in ("mine-1.0-py3-none-any.whl", "modules-1.zip"):
        text = wheel("mine", code) if name.endswith(".whl") else zipped({"plain.py": code})
        sha256 = hashlib.sha256(text).hexdigest()
        path = tmp_path / sha256 / name
        path.parent.mkdir()
        path.write_bytes(text)
        made.append(Artifact(file_name=name, sha256=sha256, size=len(text)))
        files[sha256] = str(path)
    mine = Package(name="mine", version="1.0", source=Source.EDITABLE, artifact=made[0].sha256)
    return environment(*pins("alpha"), mine, artifacts=tuple(made)), files


def wheel(name: str, code: str) -> bytes:
    info = f"{name}-1.0.dist-info"
    return zipped(
        {
            f"{name}/__init__.py": code,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": f"[console_scripts]\n{name} = {name}:main\n",
            f"{info}/RECORD": f"{name}/__init__.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n",
        }
    )


def zipped(files: dict[str, str]) -> bytes:
    text = io.BytesIO()
    with zipfile.ZipFile(text, "w") as made:
        for name, code in files.items():
            made.writestr(name, code)
    return text.getvalue()
