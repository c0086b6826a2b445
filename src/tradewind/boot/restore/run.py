"""The program: from an order to an environment that stands, or a reason why it doesn't."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tradewind.boot.restore.addresses import without_passwords
from tradewind.boot.restore.ahead import make_ahead, take_ahead
from tradewind.boot.restore.install import install_listed, share_compiled
from tradewind.boot.restore.packages import install_artifacts
from tradewind.boot.restore.packed import published, unpacked
from tradewind.boot.restore.place import Place, making_of, not_writable
from tradewind.boot.restore.prune import is_due, prune
from tradewind.boot.restore.report import CantRestore, Report
from tradewind.boot.restore.verify import verify

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
        if order.get("task") == "pack":
            answer = published(order, cache)
        elif order.get("task") == "ahead":
            answer = make_ahead(order, cache, report, float(order.get("timeout_s") or STEP_S))
        else:
            answer = _restore(order, cache, report)
    except CantRestore as error:
        report.say(failed=error.code, reason=str(error), detail=without_passwords(error.detail)[-4000:])
        sys.exit(1)
    except OSError as error:
        refused = not_writable(cache, error)
        report.say(failed=refused.code, reason=str(refused), detail=repr(error))
        sys.exit(1)
    report.say(**answer)
    if answer.get("way") in ("archive", "install"):
        with suppress(OSError):
            _prune(order, cache)


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
                way = _make(order, cache, place, report, hold, timeout_s)
    seconds = {**report.seconds, "all": round(time.monotonic() - began, 3)}
    python = os.path.join(place.directory, "bin", "python")
    return {"done": place.directory, "python": python, "way": way, "seconds": seconds}


def _make(order: Mapping[str, Any], cache: str, place: Place, report: Report, hold: int, timeout_s: float) -> str:
    if hold >= 0:
        place.clear()
    base = str(order.get("base") or "")
    facts = {"content_hash": place.content_hash, "python": order["environment"]["python"], "base": base}
    try:
        # Where the same packages were installed, uv's cache has them: faster than anything that is fetched.
        is_warm = bool(base) and any(one.get("base") == base and one["way"] == "install" for one in place.others())
        is_ahead = hold >= 0 and take_ahead(order, cache, place, report, timeout_s)
        if order.get("archive") and not (is_warm or is_ahead) and unpacked(order, cache, place, report, hold):
            way = "archive"
        else:
            _install(order, cache, place, report, hold, is_ahead=is_ahead)
            way = "install"
        with report.step("verify"):
            verify(order["environment"], place.beside)
        place.complete({**facts, "way": way})
    finally:
        shutil.rmtree(place.beside, ignore_errors=True)
        with suppress(OSError):
            os.unlink(place.progress)
    return way


def _prune(order: Mapping[str, Any], cache: str) -> None:
    """Go through the cache, if it is time, in a process of its own: the instance starts when this one ends."""
    limits = {name: float(order[name]) for name in ("keep_days", "keep_bytes") if order.get(name)}
    if not (is_due(cache) or limits) or os.fork() != 0:
        return
    try:
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDWR)
        for number in range(3):  # who reads what this program says waits until nobody can write there any more
            os.dup2(nothing, number)
        os.nice(19)
        limits = {"keep_days": KEEP_DAYS, "keep_bytes": KEEP_BYTES, **limits}
        prune(cache, **limits, keep=order["environment"]["content_hash"])
    finally:
        os._exit(0)


def _install(order: Mapping[str, Any], cache: str, place: Place, report: Report, hold: int, *, is_ahead: bool) -> None:
    making = making_of(order, cache, place, report, hold)
    if not is_ahead:
        install_listed(making)
        kin = [one for one in place.others() if order.get("base") and one.get("base") == order["base"]]
        if kin:
            share_compiled(kin[0]["directory"], place.beside)
    with report.step("artifacts", of=len(making.environment.get("artifacts") or [])):
        install_artifacts(making)
