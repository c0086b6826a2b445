"""What others can use of an environment, packed by the machine that made it, and unpacked by those after it.

That is everything but the caller's own code, which changes many times a day and is small: it is put in afterwards, as
it is where everything is installed. So one archive serves until a package changes.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from tradewind.boot.restore.archive import BadArchive, CantPack, make_virtual, pack, unpack
from tradewind.boot.restore.fetch import BROKEN, fetched, path_in, put, sha256_of, without_signature
from tradewind.boot.restore.packages import MODULES, MODULES_LINK, install_artifacts, site_packages
from tradewind.boot.restore.place import MARKER, Place, making_of
from tradewind.boot.restore.report import CantRestore, Report
from tradewind.boot.restore.tools import own_python
from tradewind.boot.restore.verify import verify

ARCHIVE = "environment.tar.gz"


def unpacked(order: Mapping[str, Any], cache: str, place: Place, report: Report, hold: int) -> bool:
    """Make the environment from the archive; say why not, where that can't be done."""
    environment = order["environment"]
    is_conda = _has_conda(environment)
    python = "" if is_conda else own_python(environment["python"])
    directory = os.path.join(cache, "packed", place.content_hash)
    try:
        if not python and not is_conda:
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
                content_hash=_base_of(order),
                final=place.directory,
                sha256=order["archive_sha256"],
            )
            if python:
                make_virtual(place.beside, python, environment["python"])
        if environment.get("artifacts"):
            with report.step("artifacts", of=len(environment["artifacts"])):
                install_artifacts(making_of(order, cache, place, report, hold))
        verify(environment, place.beside)
    except (BadArchive, CantRestore, PermissionError) as error:
        shutil.rmtree(place.beside, ignore_errors=True)
        report.say(step="unpack", note=f"the packed environment can't be used ({error}): installing instead")
        return False
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return True


def published(order: Mapping[str, Any], cache: str) -> dict[str, object]:
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
    verify(environment, place.directory)  # tasks may have installed more
    path = f"{place.directory}.{socket.gethostname()}-{os.getpid()}.packing"
    try:
        files = pack(
            place.directory,
            path,
            content_hash=_base_of(order),
            python=environment["python"],
            is_conda=_has_conda(environment),
            left_out={MARKER, *_own_files(environment, place.directory)},
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
    except BROKEN as error:
        why = getattr(error, "reason", error)
        raise CantRestore("unreachable", f"The packed environment can't be published: {why}") from None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)
    seconds = {"pack": round(packed_s, 3), "all": round(time.monotonic() - began, 3)}
    return {"done": without_signature(order["publish"]), "seconds": seconds, **facts}


def _base_of(order: Mapping[str, Any]) -> str:
    """Return the hash of the packages that aren't the caller's own."""
    return str(order.get("base") or order["environment"]["content_hash"])


def _has_conda(environment: Mapping[str, Any]) -> bool:
    return any(package.get("source") == "conda" and not package.get("artifact") for package in environment["packages"])


def _own_files(environment: Mapping[str, Any], directory: str) -> Iterator[str]:
    """Yield what in the environment is the caller's own: files, and directories with all that is in them."""
    artifacts = environment.get("artifacts") or []
    site = os.path.relpath(site_packages(directory, str(environment["python"])), directory)
    yield MODULES
    yield os.path.join(site, MODULES_LINK)
    for artifact in artifacts:
        if artifact["file_name"].endswith(".whl"):
            name, version = artifact["file_name"].split("-")[:2]
            home = os.path.join(site, f"{name}-{version}.dist-info")
            try:
                with open(os.path.join(directory, home, "RECORD"), encoding="utf-8", newline="") as file:
                    listed = [row[0] for row in csv.reader(file) if row]
            except FileNotFoundError:
                raise CantRestore("unpackable", f"What {artifact['file_name']} has installed isn't known.") from None
            yield home
            for path in listed:
                inside = os.path.normpath(os.path.join(site, path))
                yield inside
                if inside.endswith(".py"):
                    place, stem = os.path.split(inside[: -len(".py")])
                    yield os.path.join(place, "__pycache__", stem)
