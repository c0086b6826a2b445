"""Archives are unpacked whole or not at all, and odd ones not at all."""

from __future__ import annotations

import stat
import struct
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.agent import unpacking
from tradewind.agent.unpacking import MOST_BYTES, MOST_FILES, CantTake, check, unpack

Pack = Callable[..., Path]


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    """Write an archive of entries: names, or whole ones."""

    def pack(*entries: str | zipfile.ZipInfo, content: bytes = b"x = 1") -> Path:
        path = tmp_path / "modules.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for entry in entries:
                archive.writestr(entry, content)
        return path

    return pack


def entry(name: str, mode: int = 0, **more: int) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name)
    found.orig_filename = found.filename = name  # as it may stand in a file, though Python writes it otherwise
    found.external_attr = mode << 16
    for field, value in more.items():
        setattr(found, field, value)
    return found


def test_plain_files_and_directories_are_written(pack: Pack, tmp_path: Path) -> None:
    path = pack("a.py", "deep/", "deep/b.py", entry("run.sh", stat.S_IFREG | 0o755))
    (to := tmp_path / "to").mkdir()
    unpack(path, to, "modules.zip")
    assert {str(one.relative_to(to)) for one in to.rglob("*")} == {"a.py", "deep", "deep/b.py", "run.sh"}


ODD = [
    (entry("/etc/passwd"), "absolute"),
    (entry("C:/windows.py"), "absolute"),
    (entry("a\\b.py"), "absolute"),
    (entry("../out.py"), "leads elsewhere"),
    (entry("a/../../out.py"), "leads elsewhere"),
    (entry("a//b.py"), "leads elsewhere"),
    (entry("./a.py"), "leads elsewhere"),
    (entry(""), "leads elsewhere"),
    (entry("a\0b.py"), "can't be one"),
    (entry("a\nb.py"), "can't be one"),
    (entry("é" * 128), "can't be one"),
    (entry("link", stat.S_IFLNK | 0o777), "is a link or a device"),
    (entry("pipe", stat.S_IFIFO | 0o644), "is a link or a device"),
    (entry("disk", stat.S_IFBLK | 0o644), "is a link or a device"),
    (entry("file/", stat.S_IFREG | 0o644), "is a link or a device"),
    (entry("a.py", flag_bits=1), "is encrypted"),
    (entry("a.py", compress_type=zipfile.ZIP_LZMA), "isn't read"),
]


@pytest.mark.parametrize(("odd", "says"), ODD, ids=[repr(odd.orig_filename[:20]) + says[:12] for odd, says in ODD])
def test_what_is_odd_is_refused_by_name(odd: zipfile.ZipInfo, says: str) -> None:
    with pytest.raises(CantTake, match=says):
        check([entry("fine.py"), odd], "modules.zip")


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (("a.py", "a.py"), "twice"),
        (("a", "a/b.py"), "a file and a directory"),
        (("a/b.py", "a"), "a file and a directory"),
        (("a/", "a"), "a file and a directory"),
    ],
)
def test_one_place_is_taken_once(names: tuple[str, ...], says: str) -> None:
    with pytest.raises(CantTake, match=says):
        check([entry(name) for name in names], "modules.zip")
    check([entry("a/"), entry("a/"), entry("a/b.py")], "modules.zip")


def test_too_many_and_too_much_are_refused_with_their_number() -> None:
    with pytest.raises(CantTake, match="50,001 files; 50,000 may travel"):
        check([entry(f"m{n}.py") for n in range(MOST_FILES + 1)], "modules.zip")
    with pytest.raises(CantTake, match=r"4,096\.0 MiB may travel"):
        check([entry("a.py", file_size=MOST_BYTES), entry("b.py", file_size=1)], "modules.zip")


def test_a_file_that_holds_more_than_it_says_is_damaged_and_is_not_written_on(pack: Pack, tmp_path: Path) -> None:
    path = pack("bomb.py", content=b"\0" * 2**24)
    data = path.read_bytes()
    assert len(data) < 2**15
    data = data.replace(struct.pack("<L", 2**24), struct.pack("<L", 10))  # in both places where its size stands
    path.write_bytes(data)
    (to := tmp_path / "to").mkdir()
    with pytest.raises(CantTake, match="modules.zip is no archive, or a damaged one"):
        unpack(path, to, "modules.zip")
    assert sum(one.stat().st_size for one in to.rglob("*")) <= 10


def test_a_long_table_of_contents_is_refused_before_it_is_read(pack: Pack, tmp_path: Path) -> None:
    path = pack("a.py")
    data = bytearray(path.read_bytes())
    data[-10:-6] = struct.pack("<L", unpacking.MOST_DIRECTORY + 1)
    path.write_bytes(data)
    with pytest.raises(CantTake, match="more files than may travel"):
        unpack(path, tmp_path, "modules.zip")


@given(where=st.integers(0, 200), byte=st.integers(0, 255), cut=st.integers(0, 40))
def test_a_damaged_archive_is_refused_or_read_and_writes_nothing_elsewhere(
    tmp_path_factory: pytest.TempPathFactory, where: int, byte: int, cut: int
) -> None:
    home = tmp_path_factory.mktemp("home")
    path, to = home / "modules.zip", home / "in" / "to"
    to.mkdir(parents=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.py", b"x = 1\n" * 9)
        archive.writestr("b/c.py", b"y = 2\n")
    data = bytearray(path.read_bytes())
    data[where % len(data)] = byte
    path.write_bytes(data[: len(data) - cut])
    with suppress(CantTake):
        unpack(path, to, "modules.zip")
    assert {one.name for one in home.iterdir()} == {"modules.zip", "in"}
    assert {one.name for one in to.parent.iterdir()} == {"to"}
