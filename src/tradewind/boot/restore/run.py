"""The program: from an order to an environment that stands, or a reason why it doesn't."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tradewind.boot.restore.archive import BadArchive, CantPack, make_virtual, pack, unpack
from tradewind.boot.restore.conda import install_conda
from tradewind.boot.restore.fetch import BROKEN, fetched, path_in, put, sha256_of, without_signature
from tradewind.boot.restore.packages import Making, ask_uv, install_artifacts, install_pins, uv_environ
from tradewind.boot.restore.place import Place, not_writable
from tradewind.boot.restore.prune import is_due, prune
from tradewind.boot.restore.report import CantRestore, Report, without_passwords
from tradewind.boot.restore.tools import find_python, find_uv, own_python, usual_indexes
from tradewind.boot.restore.verify import verify

ARCHIVE = "environment.tar.gz"
KEEP_DAYS = 14
KEEP_BYTES = 20_000_000_000
STEP_S = 3600.0


def main() -> None:
    """Carry out the order in the file that is the first argument, or else on standard input."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is half made is removed
    report = Report()
    cache = ""
    try:
        order = _order()
        cache = os.path.expanduser(order.get("cache") or os.path.join("~", ".cache", "tradewind"))
        answer = _pack(order, cache) if order.get("task") == "pack" else _restore(order, cache, report)
    except CantRestore as error:
        report.say(failed=error.code, reason=str(error), detail=without_passwords(error.detail)[-4000:])
        sys.exit(1)
    except OSError as error:
        refused = not_writable(cache, error)
        report.say(failed=refused.code, reason=str(refused), detail=repr(error))
        sys.exit(1)
    report.say(**answer)


def _order() -> Mapping[str, Any]:
    try:
        if len(sys.argv) > 1 and sys.argv[1] != "-":
            with open(sys.argv[1], encoding="utf-8") as file:
                order = json.load(file)
        else:
            order = json.load(sys.stdin)
        environment = order["environment"]
        for name in ("python", "content_hash", "packages"):
            environment[name]
        order.setdefault("files", {})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CantRestore("broken_order", f"The order can't be read: {error!r}") from None
    found: Mapping[str, Any] = order
    return found


def _restore(order: Mapping[str, Any], cache: str, report: Report) -> dict[str, object]:
    began = time.monotonic()
    place = Place(cache, order["environment"]["content_hash"])
    timeout_s = float(order.get("timeout_s") or STEP_S)
    way = "present"
    if not place.is_complete():
        with place.held(report, timeout_s) as hold:
            if not place.is_complete():  # another made it while this one waited
                way = _make(order, cache, place, report, hold)
        if way != "present":
            with suppress(OSError):
                _prune(order, cache, place)
    seconds = {**report.seconds, "all": round(time.monotonic() - began, 3)}
    python = os.path.join(place.directory, "bin", "python")
    return {"done": place.directory, "python": python, "way": way, "seconds": seconds}


def _make(order: Mapping[str, Any], cache: str, place: Place, report: Report, hold: int) -> str:
    if hold >= 0:
        place.clear()
    facts = {"content_hash": place.content_hash, "python": order["environment"]["python"]}
    try:
        if order.get("archive") and _from_archive(order, cache, place, report):
            way = "archive"
        else:
            _install(order, cache, place, report, hold)
            way = "install"
        with report.step("verify"):
            verify(order["environment"], place.beside)
        place.complete({**facts, "way": way})
    finally:
        shutil.rmtree(place.beside, ignore_errors=True)
        with suppress(OSError):
            os.unlink(place.progress)
    return way


def _prune(order: Mapping[str, Any], cache: str, place: Place) -> None:
    limits = {name: float(order[name]) for name in ("keep_days", "keep_bytes") if order.get(name)}
    if is_due(cache) or limits:
        prune(cache, **{"keep_days": KEEP_DAYS, "keep_bytes": KEEP_BYTES, **limits}, keep=place.content_hash)


def _has_conda(environment: Mapping[str, Any]) -> bool:
    return any(package.get("source") == "conda" and not package.get("artifact") for package in environment["packages"])


def _from_archive(order: Mapping[str, Any], cache: str, place: Place, report: Report) -> bool:
    """Unpack the archive; say why not, where that can't be done."""
    environment = order["environment"]
    python = "" if _has_conda(environment) else own_python(environment["python"])
    directory = os.path.join(cache, "packed", place.content_hash)
    try:
        if not python and not _has_conda(environment):
            raise BadArchive("this machine has no Python of that version yet")
        if not order.get("archive_sha256"):
            raise BadArchive("nobody says which sha256 it has")
        with report.step("fetch"):
            # Checked as a whole before anything of it is unpacked.
            path = fetched(order["archive"], directory, ARCHIVE, order["archive_sha256"])
        with report.step("unpack"):
            os.makedirs(place.beside)
            unpack(
                path,
                place.beside,
                content_hash=place.content_hash,
                final=place.directory,
                sha256=order["archive_sha256"],
            )
            if python:
                make_virtual(place.beside, python, environment["python"])
            verify(environment, place.beside)
    except (BadArchive, CantRestore, PermissionError) as error:
        shutil.rmtree(place.beside, ignore_errors=True)
        report.say(step="unpack", note=f"the packed environment can't be used ({error}): installing instead")
        return False
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return True


def _install(order: Mapping[str, Any], cache: str, place: Place, report: Report, hold: int) -> None:
    environment = order["environment"]
    indexes = list(order.get("indexes") or environment.get("indexes") or usual_indexes())
    with report.step("uv"):
        uv = find_uv(cache, order["files"].get("uv", ""), [*indexes, *filter(None, [order.get("usual_index")])])
    making = Making(
        order=order,
        report=report,
        cache=cache,
        uv=uv,
        directory=place.beside,
        final=place.directory,
        hold=hold,
        indexes=indexes,
    )
    packages = [package for package in environment["packages"] if not package.get("artifact")]
    conda = [package for package in packages if package.get("source") == "conda"]
    if conda:
        with report.step("conda", of=len(conda)):
            install_conda(making, conda)
    else:
        with report.step("python"):
            python = find_python(environment["python"], uv, uv_environ(cache), making.timeout_s)
            words = ["venv", "--no-config", "--no-project", "--relocatable", "--python", python, place.beside]
            ask_uv(making, words, "making the environment")
    pins = [package for package in packages if package.get("source") != "conda"]
    with report.step("packages", of=len(pins)):
        install_pins(making, pins)
    with report.step("artifacts", of=len(environment.get("artifacts") or [])):
        install_artifacts(making)


def _pack(order: Mapping[str, Any], cache: str) -> dict[str, object]:
    """Pack the environment, and put it where the machines after this one find it."""
    began = time.monotonic()
    with suppress(OSError):
        os.nice(19)  # somebody computes here
    environment = order["environment"]
    place = Place(cache, environment["content_hash"])
    if not order.get("publish"):
        raise CantRestore("broken_order", "The order to pack doesn't say where to put the archive.")
    if not place.is_complete():
        raise CantRestore("absent", "There is nothing to pack: the environment isn't on this machine.")
    seen = os.path.dirname(path_in(order["publish"]))
    if seen and not os.path.isdir(seen):
        raise CantRestore("unreachable", f"This machine doesn't see {seen}, where archives are kept.")
    path = f"{place.directory}.{socket.gethostname()}-{os.getpid()}.packing"
    try:
        is_conda = _has_conda(environment)
        files = pack(
            place.directory, path, content_hash=place.content_hash, python=environment["python"], is_conda=is_conda
        )
        packed_s = time.monotonic() - began
        facts = {"sha256": sha256_of(path), "size": os.path.getsize(path), "files": files}
        put(path, order["publish"])
        if order.get("record"):  # last: whoever reads it finds the archive
            with open(path, "w", encoding="utf-8") as file:
                json.dump({**facts, "name": order.get("name") or ""}, file)
            put(path, order["record"])
    except CantPack as error:
        raise CantRestore("unpackable", f"The environment can't be packed: {error}.") from None
    except FileNotFoundError as error:
        raise CantRestore(
            "unreachable", f"This machine doesn't see {error.filename}, where archives are kept."
        ) from None
    except BROKEN as error:
        why = getattr(error, "reason", error)
        raise CantRestore("unreachable", f"The packed environment can't be published: {why}") from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)
    seconds = {"pack": round(packed_s, 3), "all": round(time.monotonic() - began, 3)}
    return {"done": without_signature(order["publish"]), "seconds": seconds, **facts}
