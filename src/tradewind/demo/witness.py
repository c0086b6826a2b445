"""The demo's trends once more, by another way: netCDF4 and NumPy alone, no xarray, no Dask, another algorithm."""

from __future__ import annotations

from pathlib import Path

import netCDF4
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from tradewind.demo.climate import TREND_PERIOD
from tradewind.demo.fields import scenario_path
from tradewind.errors import TradewindError

TOLERANCE = 1e-9
"""K per decade. Both ways compute in 64 bits; they differ by rounding, which is some thousand times less than this."""


def check_trends(trends: xr.DataArray, directory: Path | None = None, period: tuple[int, int] = TREND_PERIOD) -> float:
    """Compare the trends of every cell of every scenario with NumPy's.

    Parameters
    ----------
    trends : xarray.DataArray
        As :func:`tradewind.demo.trend` returns it, with the dimension ``scenario``; in K per decade.
    directory : Path, optional
        Where the NetCDF files are, as for :func:`tradewind.demo.open_fields`.
    period : tuple of int
        First and last year of the trend, both included.

    Returns
    -------
    float
        The largest difference of any cell, in K per decade.

    Raises
    ------
    TradewindError
        A difference is larger than ``TOLERANCE``, or isn't a number.
    """
    largest = 0.0
    for name in trends["scenario"].values.tolist():
        expected = numpy_trend(scenario_path(name, directory), period)
        difference = float(np.abs(trends.sel(scenario=name).values - expected).max())
        if not difference <= TOLERANCE:  # so that nan fails too
            raise TradewindError(
                f"the cluster's trend of scenario {name} differs from NumPy's by {difference:.3g} K per decade, "
                f"more than the {TOLERANCE:.0e} that rounding explains; "
                "compare the versions of numpy here and on the workers: client.get_versions(check=True)"
            )
        largest = max(largest, difference)
    return largest


def numpy_trend(path: Path, period: tuple[int, int] = TREND_PERIOD) -> NDArray[np.float64]:
    """Return the trend of each cell of one file in K per decade, by ``numpy.polyfit`` on the whole array."""
    with netCDF4.Dataset(path) as dataset:
        time = dataset["time"]
        dates = np.asarray(netCDF4.num2date(time[:], time.units, time.calendar), dtype=object)
        years = np.array([date.year for date in dates])
        values = np.asarray(dataset["air_temperature"][:], dtype=np.float64)
    wanted = (years >= period[0]) & (years <= period[1])
    series = values[wanted].reshape(wanted.sum(), -1)
    slope: NDArray[np.float64] = np.polyfit(years[wanted].astype(np.float64), series, 1)[0]
    return 10 * slope.reshape(values.shape[1:])
