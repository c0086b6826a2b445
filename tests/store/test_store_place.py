from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest
from store_records import fill, make_cluster, url_of

from tradewind.store.sql.place import is_on_network, make_private
from tradewind.store.store import Store


class Mount(NamedTuple):
    mountpoint: str
    fstype: str


@pytest.mark.parametrize(
    ("mounts", "expected"),
    [
        ([], False),
        ([Mount("/", "ext4")], False),
        ([Mount("/", "ext4"), Mount("/home", "nfs4")], True),
        ([Mount("/home", "nfs4"), Mount("/", "ext4")], True),
        ([Mount("/", "nfs4"), Mount("/home/ada", "xfs")], False),
        ([Mount("/", "ext4"), Mount("/home/adamant", "lustre")], False),
        ([Mount("/home", "autofs"), Mount("/home", "nfs")], True),
        ([Mount("/home", "fuse.sshfs")], True),
        ([Mount("/home", "overlay")], False),
    ],
)
def test_a_place_is_on_the_network_if_its_nearest_mount_is(mounts: list[Mount], expected: bool) -> None:
    assert is_on_network(Path("/home/ada/.local/share/tradewind.db"), mounts) is expected


async def test_a_file_on_the_network_has_no_log_in_shared_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = await Store.open(url_of(path))
    await local.aclose()
    monkeypatch.setattr(psutil, "disk_partitions", lambda all: [Mount("/", "nfs4")])

    store = await Store.open(url_of(path))
    await fill(store, make_cluster())

    assert [file.name for file in list_beside(path)] == ["tradewind.db"]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    assert (await store.load("c1")).cluster == make_cluster()
    await store.aclose()


def test_a_file_that_others_could_read_is_made_private(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    os.chmod(path, 0o644)

    make_private(path)

    assert path.stat().st_mode & 0o777 == 0o600


def list_beside(path: Path) -> list[Path]:
    """Return the files of a directory."""
    return sorted(path.parent.iterdir())


@pytest.mark.parametrize("name", ["with blanks", "why?", "50% #1", "größe 日本"])
async def test_a_directory_may_be_called_anything(tmp_path: Path, name: str) -> None:
    place = tmp_path / name / "tradewind.db"
    store = await Store.open(place)
    await store.aclose()
    assert os.listdir(tmp_path) == [name]
    assert "tradewind.db" in os.listdir(tmp_path / name)
