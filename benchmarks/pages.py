"""Milliseconds until the advisor's pages are complete in a real Chromium, from a server on this machine.

``PYTHONPATH=src:. python benchmarks/pages.py --times 9``
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path

from tests.server.chromium import opened
from tests.server.running import listening
from tests.server.stage import Stage

from tradewind.config import ServeSettings, Settings

ANSWERS = "1~2026-11-20~work.dask~hub.must~admin.nobody~pay.money~people.60~uses_now.nebari~w.leave.5"
PAGES = {
    "the questions": "/advise",
    "an answer": f"/advise/answer?a={ANSWERS}",
    "the directory": "/partners",
    "a partner": "/partners/2i2c",
    "three compared": "/partners/compare?partner=2i2c&partner=coiled&partner=tradewind-queue",
}
COMPLETE = "performance.getEntriesByType('navigation')[0].loadEventEnd"


async def timed(times: int) -> dict[str, list[float]]:
    """Return milliseconds for each page; the first of each is a server's first."""
    took: dict[str, list[float]] = {name: [] for name in PAGES}
    with tempfile.TemporaryDirectory() as directory:
        stage = await Stage.open(Path(directory), Settings(serve=ServeSettings(tls=False)))
        async with listening(stage) as url, opened() as page:
            for _ in range(times):
                for name, path in PAGES.items():
                    await page.goto(url + path)
                    took[name].append(float(await page.evaluate(COMPLETE)))
        await stage.aclose()
    return took


def main() -> None:
    """Open each page in turn, and report."""
    parser = argparse.ArgumentParser(description="How long the advisor's pages take in a browser.")
    parser.add_argument("--times", type=int, default=9, help="how often each page is opened (default 9)")
    for name, took in asyncio.run(timed(parser.parse_args().times)).items():
        print(f"{name:16} first {took[0]:5.0f} ms, median {statistics.median(took[1:]):5.0f} ms")


if __name__ == "__main__":
    main()
