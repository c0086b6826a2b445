"""The whole demo on the current client: open, anomaly, trend, check, draw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from distributed import span

from tradewind.demo.climate import TREND_PERIOD, anomaly, regional_mean, trend
from tradewind.demo.fields import open_fields
from tradewind.demo.figure import draw
from tradewind.demo.witness import TOLERANCE, check_trends


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoResult:
    """What came out."""

    mean_trend: Mapping[str, float]
    """Area-weighted mean over the region by scenario, in K per decade."""
    period: tuple[int, int]
    """First and last year of the trend."""
    difference: float
    """The largest difference from NumPy's trend in any cell, in K per decade."""
    tolerance: float
    """What the difference was allowed to be."""
    path: Path
    """The picture."""

    def __str__(self) -> str:
        first, last = self.period
        trends = ", ".join(f"{name} {value:+.3f}" for name, value in self.mean_trend.items())
        return (
            f"warming of North America {first}-{last} in K per decade: {trends}\n"
            f"the same with NumPy alone: differs by {self.difference:.1e} at most (allowed: {self.tolerance:.0e})\n"
            f"picture: {self.path}"
        )


def run_demo(path: Path, directory: Path | None = None) -> DemoResult:
    """Compute the two futures of North America on the current Dask client and draw them.

    Each step is a span, so the history shows it as a computation of its own: "demo / open", "demo / anomaly",
    "demo / trend".

    Parameters
    ----------
    path : Path
        Where to write the picture (PNG).
    directory : Path, optional
        Where the NetCDF files are; the installed ``iris-sample-data`` by default.

    Raises
    ------
    NotFound
        A data file isn't there.
    TradewindError
        The result differs from NumPy's.
    """
    with span("demo"):
        with span("open"):
            fields = open_fields(directory).persist()
        with span("anomaly"):
            anomalies = anomaly(fields).persist()
            series = regional_mean(anomalies).compute()
        with span("trend"):
            trends = trend(anomalies).compute()
    difference = check_trends(trends, directory)
    mean_trend = regional_mean(trends)
    return DemoResult(
        mean_trend={name: float(mean_trend.sel(scenario=name)) for name in trends["scenario"].values.tolist()},
        period=TREND_PERIOD,
        difference=difference,
        tolerance=TOLERANCE,
        path=draw(trends, series, path),
    )
