"""The search for secrets finds what is there."""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
import sys
import urllib.parse
import zipfile
from pathlib import Path

import pytest

from tests.secrets_search import files, processes, search

SECRET = "c4nary/in+the=mine?ü"  # noqa: S105
NAMED = {"canary": SECRET}


@pytest.mark.parametrize(
    "written",
    [
        SECRET,
        urllib.parse.quote(f"a b={SECRET}&c", safe=""),
        urllib.parse.urlencode({"token": SECRET}),
        f"log line {SECRET.encode().hex()}",
        *(base64.b64encode(b"x" * n + SECRET.encode() + b"yz").decode() for n in range(6)),
        *(base64.urlsafe_b64encode(b"x" * n + SECRET.encode() + b"y").decode() for n in range(3)),
    ],
)
def test_it_is_found_in_each_form(written: str, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_text(f"before {written} after")
    assert {found.secret for found in search(files(tmp_path), NAMED)} == {"canary"}


def test_it_is_found_in_archives_and_in_names(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(SECRET.encode()))
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside", SECRET * 3)
    (tmp_path / "plain-canary").touch()
    assert {Path(found.place.split(":")[0].split(" (")[0]).name for found in search(files(tmp_path), NAMED)} == {
        "a.gz",
        "b.zip",
    }
    assert search(files(tmp_path), {"name": "plain-canary"})


def test_it_is_found_in_arguments_and_variables() -> None:
    argument = "c4nary-argument"
    process = subprocess.Popen(
        [sys.executable, "-c", "input()", argument], stdin=subprocess.PIPE, env={"TOKEN": "c4nary-variable"}
    )
    try:
        assert search(processes(), {"argument": argument})
        assert search(processes(environ_of=[process.pid]), {"variable": "c4nary-variable"})
        assert not search(processes(), {"variable": "c4nary-variable"})
    finally:
        process.communicate(b"\n")


def test_what_is_found_is_shown_by_name_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text(SECRET)
    assert SECRET not in json.dumps([repr(found) for found in search(files(tmp_path), NAMED)])
