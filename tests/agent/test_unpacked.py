# ruff: noqa: ASYNC240 - files of a test are small
"""Code that came with a cluster lies on a machine once, whole or absent."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import time
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tradewind.agent.unpacked import BROKE_OFF_S, KEEP_S, Piece, Unpacked
from tradewind.agent.unpacking import CantTake


def packed(**files: str) -> tuple[Piece, bytes]:
    """Return a ZIP of modules."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.py", text)
    content = buffer.getvalue()
    return Piece(file_name="modules.zip", sha256=hashlib.sha256(content).hexdigest(), size=len(content)), content


class Source:
    """Somebody who has a file, and counts how often it was asked for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.asked = 0

    async def __call__(self, piece: Piece) -> AsyncIterator[bytes]:
        self.asked += 1
        for start in range(0, len(self.content), 7):
            await asyncio.sleep(0)
            yield self.content[start : start + 7]


async def test_ten_processes_of_a_machine_fetch_and_unpack_once(tmp_path: Path) -> None:
    piece, content = packed(drift="x = 1")
    source = Source(content)
    found = await asyncio.gather(*(Unpacked(tmp_path).directory(piece, source) for _ in range(10)))
    assert source.asked == 1
    assert len(set(found)) == 1
    assert Path(found[0], "drift.py").read_text() == "x = 1"
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("broken", [b"", b"short", b"x" * 10_000])
async def test_what_was_broken_on_its_way_leaves_nothing_and_comes_again(tmp_path: Path, broken: bytes) -> None:
    piece, content = packed(drift="x = 1")
    store = Unpacked(tmp_path)
    with pytest.raises(CantTake, match=r"modules\.zip was broken on its way"):
        await store.directory(piece, Source(broken))
    assert not store.has(piece)
    assert Path(await store.directory(piece, Source(content)), "drift.py").exists()


async def test_a_name_that_leads_out_of_the_directory_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../out.py", "x")
    content = buffer.getvalue()
    piece = Piece(file_name="modules.zip", sha256=hashlib.sha256(content).hexdigest(), size=len(content))
    store = Unpacked(tmp_path / "deep" / "home")
    with pytest.raises(CantTake, match=r"'\.\./\.\./out\.py' in modules\.zip has a name that leads elsewhere"):
        await store.directory(piece, Source(content))
    assert not list(tmp_path.rglob("out.py"))
    assert not store.has(piece)


async def test_what_was_begun_and_broke_off_is_removed_and_what_goes_on_stays(tmp_path: Path) -> None:
    for name in ("a.1.brought", "b.part", "c.part/x.py", "young.2.brought"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    for name in ("a.1.brought", "b.part", "c.part"):
        os.utime(tmp_path / name, (0, time.time() - BROKE_OFF_S - 1))
    piece, content = packed(drift="x = 1")
    await Unpacked(tmp_path).directory(piece, Source(content))
    assert [path.name for path in tmp_path.iterdir() if path.suffix in {".part", ".brought"}] == ["young.2.brought"]


async def test_a_name_that_is_no_hash_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CantTake, match="sha256"):
        Piece.read({"file_name": "x", "sha256": "../../etc/passwd", "size": 1})


async def test_a_directory_that_cannot_be_written_is_told_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    piece, content = packed(drift="x = 1")
    with pytest.raises(CantTake, match=r"modules\.zip can't be put into .*/file/luggage"):
        await Unpacked(tmp_path / "file" / "luggage").directory(piece, Source(content))


async def test_what_nobody_uses_for_long_goes_and_what_is_in_use_stays(tmp_path: Path) -> None:
    used, unused = packed(used="x = 1"), packed(unused="x = 1")
    holder, other = Unpacked(tmp_path), Unpacked(tmp_path)
    kept = await holder.directory(used[0], Source(used[1]))
    gone = await other.directory(unused[0], Source(unused[1]))
    other.close()
    for lock in tmp_path.glob("*.lock"):
        long_ago = lock.stat().st_mtime - 2 * KEEP_S
        os.utime(lock, (long_ago, long_ago))
    newer = packed(newer="x = 1")
    await Unpacked(tmp_path).directory(newer[0], Source(newer[1]))
    assert Path(kept, "used.py").exists()
    assert not Path(gone).exists()
