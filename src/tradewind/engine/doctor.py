"""Checks of this machine, with what to do."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tradewind.config import config_file, data_directory
from tradewind.errors import MissingExtra, NotSetUp, ProviderError, TradewindError
from tradewind.model.resources import GIB, Need
from tradewind.model.views import Check
from tradewind.providers.base import Provider
from tradewind.providers.registry import known
from tradewind.store.store import Store

ROOM = GIB
"""Bytes of free disk below which logs and spilled data may not fit."""
EXTRAS = {
    "bokeh": ("Dask's dashboard", "dashboard"),
    "ipywidgets": ("the live widget in Jupyter", "jupyter"),
    # Of those that it needs, the one that nobody has for another reason.
    "iris_sample_data": ("`tradewind demo`", "demo"),
    "rattler": ("conda's packages, and software for other machines than this", "software"),
    "uvicorn": ("`tradewind serve`", "server"),
}


async def examine(store: Store, provider_of: Callable[[str], Provider]) -> list[Check]:
    """Return one check per fact, all of them, whatever the first ones say."""
    return [
        _python(),
        _dask(),
        _settings(),
        _disk(),
        *_extras(),
        *[await _provider(name, provider_of) for name in known()],
    ]


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


def _disk() -> Check:
    directory = data_directory()
    existing = next(path for path in [directory, *directory.parents] if path.exists())
    free = shutil.disk_usage(existing).free
    try:
        with tempfile.TemporaryFile(dir=existing):
            writable = True
    except OSError:
        writable = False
    ok = writable and free > ROOM
    advice = ""
    if not writable:
        advice = f"Make {existing} writable, or set TRADEWIND_DATA_DIR to a directory that is."
    elif not ok:
        advice = "Make room, or set TRADEWIND_DATA_DIR to a directory with some."
    return Check(name="data", ok=ok, fact=f"{Path(directory)}: {free / GIB:.0f} GiB free", advice=advice)


def _extras() -> list[Check]:
    checks = []
    for module, (what, extra) in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        checks.append(
            Check(
                name=f"extra {extra}",
                ok=True,
                fact=f"{what}: {'there' if there else 'not installed'}",
                advice="" if there else f"If you want it: pip install 'tradewind[{extra}]'",
            )
        )
    return checks


async def _provider(name: str, provider_of: Callable[[str], Provider]) -> Check:
    try:
        provider = provider_of(name)
        offers = await provider.offers(Need())
        observed = await provider.observe()
        standing = await provider.standing()
    except (NotSetUp, MissingExtra) as error:
        return Check(name=f"provider {name}", ok=True, fact="not set up", advice=f"If you want it: {error}.")
    except (ProviderError, TradewindError) as error:
        return Check(name=f"provider {name}", ok=False, fact=str(error), advice=f"See the guide on {name}.")
    best = offers[0] if offers else None
    size = "nothing to offer now"
    if best is not None:
        price = "unpriced" if best.price is None else str(best.price)
        size = (
            f"offers {best.resources.cpus:g} cores, {best.resources.memory / GIB:.1f} GiB as {best.vm_type} ({price})"
        )
    alive = sum(o.status.is_live for o in observed)
    return Check(
        name=f"provider {name}",
        ok=bool(offers),
        fact=f"{size}; {alive} instances of ours alive{standing and f'; {standing}'}",
    )
