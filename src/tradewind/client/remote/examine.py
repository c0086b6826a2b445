"""Checks of this machine and of the way to its server, with what to do."""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import stat
import sys
import time
from datetime import timedelta

from tradewind import __version__
from tradewind.client.remote.answers import Answer
from tradewind.client.remote.connection import Connection, Question, path
from tradewind.client.remote.credentials import credentials_file
from tradewind.config import config_file
from tradewind.errors import TradewindError
from tradewind.model.views import Check

SKEW = timedelta(seconds=30)
"""Clocks that differ by more make times on both sides hard to compare; certificates and sign-ins fail at minutes."""


async def examine(connection: Connection, workspace: str) -> list[Check]:
    """Return one check per fact, all of them, whatever the first ones say."""
    checks = [_python(), _dask(), _settings(), _credentials()]
    try:
        began = time.time()
        answer = await asyncio.to_thread(connection.answer, Question(method="GET", path="me"))
        took_s = time.time() - began
    except TradewindError as error:
        return [*checks, Check(name="server", ok=False, fact=str(error), advice="Ask its operator whether it is up.")]
    checks.append(Check(name="server", ok=True, fact=f"{connection.url} answers within {took_s * 1000:.0f} ms"))
    checks.append(_version(answer))
    skew = answer.skew(began + took_s / 2)
    if skew is not None:
        checks.append(_clock(skew))
    try:
        answer.load(dict)
        checks.append(Check(name="token", ok=True, fact="is good"))
    except TradewindError as error:
        return [*checks, Check(name="token", ok=False, fact=str(error), advice="Sign in again.")]
    checks.append(await _workspace(connection, workspace))
    return checks


def _python() -> Check:
    version = platform.python_version()
    ok = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return Check(
        name="python",
        ok=ok,
        fact=f"Python {version} on {sys.platform}-{platform.machine()}",
        advice="" if ok else "Tradewind is tested with Python 3.11 to 3.13: use one of these.",
    )


def _dask() -> Check:
    return Check(name="dask", ok=True, fact=f"distributed {importlib.metadata.version('distributed')}")


def _settings() -> Check:
    file = config_file()
    fact = f"settings in {file}" if file.exists() else f"no settings file (would be {file}); defaults hold"
    return Check(name="settings", ok=True, fact=fact)


def _credentials() -> Check:
    file = credentials_file()
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
    except OSError:
        return Check(name="credentials", ok=True, fact=f"none in {file}")
    ok = not mode & 0o077
    advice = "" if ok else f"Others could read your token: chmod 600 {file}, then `tradewind login` for a new one."
    return Check(name="credentials", ok=ok, fact=f"{file}, mode {mode:o}", advice=advice)


def _version(answer: Answer) -> Check:
    theirs = answer.version
    if not theirs:
        return Check(name="version", ok=True, fact=f"{__version__} here; the server doesn't say its own")
    if theirs == __version__:
        return Check(name="version", ok=True, fact=f"{__version__} on both sides")
    return Check(
        name="version",
        ok=theirs.split(".")[:2] == __version__.split(".")[:2],
        fact=f"{__version__} here, {theirs} on the server",
        advice=f"If something isn't understood: pip install 'tradewind=={theirs}'",
    )


def _clock(skew: timedelta) -> Check:
    # The server says whole seconds.
    seconds = max(0.0, abs(skew.total_seconds()) - 1)
    if seconds <= SKEW.total_seconds():
        return Check(name="clock", ok=True, fact="agrees with the server's")
    which = "behind" if skew > timedelta() else "ahead of"
    return Check(
        name="clock",
        ok=False,
        fact=f"{seconds:.0f} s {which} the server's",
        advice="Set this machine's clock by the network (timedatectl set-ntp true), or tell the server's operator.",
    )


async def _workspace(connection: Connection, workspace: str) -> Check:
    try:
        where = path("workspaces", workspace, "clusters", live=True, limit=1)
        await connection.ask(Question(method="GET", path=where), dict)
    except TradewindError as error:
        advice = "`tradewind workspace list` shows yours; `tradewind workspace use NAME` takes one."
        return Check(name="workspace", ok=False, fact=str(error), advice=advice)
    return Check(name="workspace", ok=True, fact=f"{workspace!r} is open to you")
