"""Packages of conda channels, the very builds, put down by rattler in a small environment of tools."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from tradewind.boot.restore.fetch import fetched
from tradewind.boot.restore.packages import Making, ask_uv, facts_of, free_space
from tradewind.boot.restore.refusal import refusal_of
from tradewind.boot.restore.report import CantRestore
from tradewind.boot.restore.tools import run, used

RATTLER = "py-rattler>=0.28,<1"
SUFFIXES = (".conda", ".tar.bz2")
LINKING = """
import asyncio, json, os, pathlib, sys, traceback
from rattler import install
from rattler.repo_data import RepoDataRecord

async def main(order):
    records = []
    for package in order["packages"]:
        record = await RepoDataRecord.from_package_archive(package["path"])
        record.channel, record.file_name = package["channel"], package["file_name"]
        record.url = pathlib.Path(package["path"]).as_uri()  # an address of the channel would be fetched once more
        records.append(record)
    await install(
        records, target_prefix=order["prefix"], alternative_target_prefix=order["final"], cache_dir=order["cache"],
        execute_link_scripts=True, show_progress=False,
    )

code = 0
try:
    asyncio.run(main(json.load(sys.stdin)))
except Exception:
    traceback.print_exc()
    code = 1
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)  # rattler's threads come home while Python ends, and one time in three that is a crash
"""
"""Run by the Python of the tools; the packages are here already, each with its hash checked."""


def install_conda(making: Making, packages: Sequence[Mapping[str, Any]]) -> None:
    """Make the environment from conda packages, Python among them."""
    if not any(package["name"] == "python" for package in packages):
        raise CantRestore("conda", "The environment has conda packages, and no Python of conda among them.")
    tools = _tools(making)
    channels = list(making.environment.get("channels") or [])
    directory = os.path.join(making.cache, "conda")
    got: list[dict[str, str]] = []
    with ThreadPoolExecutor(max_workers=8) as pool:
        for one in pool.map(lambda package: _fetched(package, channels, directory), packages):
            got.append(one)
            making.report.say(step="conda", done=len(got), of=len(packages), now=one["file_name"])
    order = {"packages": got, "prefix": making.directory, "final": making.final, "cache": f"{directory}/unpacked"}
    words = [tools, "-I", "-c", LINKING]
    code, text = run(words, given=json.dumps(order), timeout_s=making.timeout_s, hold=making.hold)
    if code != 0:
        if re.search(r"os error (?:27|28|122)|No space left", text):
            raise refusal_of(text, facts_of(making), "installing conda packages")
        lines = [line for line in text.splitlines() if line.strip()]
        why = lines[-1] if lines else f"exit code {code}, {free_space(making.cache)} of disk are left"
        raise CantRestore("conda", f"The conda packages can't be installed on this machine: {why}", text)
    python = making.python
    if not os.path.exists(python):
        raise CantRestore("conda", "The conda package of Python has no bin/python for this machine.")


def _tools(making: Making) -> str:
    """Return the Python of an environment that has rattler."""
    home = os.path.join(making.cache, "tools", "conda")
    python = os.path.join(home, "bin", "python")
    if os.path.exists(python):
        used(home, making.cache)
        return python
    beside = f"{home}.{os.getpid()}"
    try:
        there = os.path.join(beside, "bin", "python")
        ask_uv(making, ["venv", "--no-project", "--relocatable", "--python", ">=3.10", beside], "making tools")
        ask_uv(making, ["pip", "install", "--python", there, RATTLER], "installing rattler", indexes=making.indexes)
        with suppress(OSError):  # another was faster
            os.rename(beside, home)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return python


def _fetched(package: Mapping[str, Any], channels: Sequence[str], directory: str) -> dict[str, str]:
    """Return where a package lies now, and where it is from."""
    url, sha256 = (package.get("url") or "").rstrip("/"), package.get("sha256") or ""
    if url.endswith(SUFFIXES):
        places = [url]
        channel = url.rsplit("/", 2)[0]
    else:
        channel = url or (channels[0] if channels else "")
        stem = "-".join((package["name"], package["version"], package["build"]))
        subdir = package.get("subdir") or "noarch"
        places = [f"{channel}/{subdir}/{stem}{suffix}" for suffix in SUFFIXES]
    last: CantRestore | None = None
    for place in places:
        name = place.rsplit("/", 1)[1]
        with suppress(FileNotFoundError):
            address = place[len("file://") :] if place.startswith("file://") else place
            try:
                path = fetched(address, os.path.join(directory, sha256 or "unhashed"), name, sha256)
            except CantRestore as error:
                last = last if last is not None and error.code == "unreachable" else error
                if error.code != "unreachable":
                    break
                continue
            return {"path": path, "channel": channel, "file_name": name}
    assert last is not None
    raise CantRestore(last.code, f"The conda package {package['name']} {package['version']}: {last}", last.detail)
