"""Three things climate scientists do to a temperature field. All of them are lazy, all of them are xarray."""

from __future__ import annotations

import numpy as np
import xarray as xr

BASE_PERIOD = (1961, 1990)
"""The standard normal period of the World Meteorological Organization for this kind of comparison."""

TREND_PERIOD = (2000, 2099)
"""Where the two futures differ."""


def anomaly(fields: xr.DataArray, base_period: tuple[int, int] = BASE_PERIOD) -> xr.DataArray:
    """Return how much each year differs from the mean of the base period, cell by cell.

    Parameters
    ----------
    fields : xarray.DataArray
        With a dimension ``year``.
    base_period : tuple of int
        First and last year, both included.

    Returns
    -------
    xarray.DataArray
        Same shape and unit as ``fields``.
    """
    return fields - fields.sel(year=slice(*base_period)).mean("year")


def regional_mean(field: xr.DataArray) -> xr.DataArray:
    """Return the mean over the region, each cell weighted by its area.

    Meridians meet at the poles, so a cell of a regular grid covers an area in proportion to the cosine of its latitude.

    Parameters
    ----------
    field : xarray.DataArray
        With the dimensions ``latitude`` and ``longitude`` in degrees.
    """
    area = xr.DataArray(np.cos(np.deg2rad(field["latitude"].astype("float64"))))
    return field.weighted(area).mean(("latitude", "longitude"))


def trend(field: xr.DataArray, period: tuple[int, int] = TREND_PERIOD) -> xr.DataArray:
    """Return the least-squares trend of each cell in units per decade.

    With years ``t`` and values ``T`` it is ``Σ (t - mean t) T / Σ (t - mean t)²``: one sum over the years, which Dask
    takes apart into a sum per chunk and a tree above them; no chunk has to hold a whole time series.

    Parameters
    ----------
    field : xarray.DataArray
        With a dimension ``year``, one value a year, none missing.
    period : tuple of int
        First and last year, both included.
    """
    part = field.sel(year=slice(*period))
    years = part["year"] - part["year"].mean()
    return (10 * (years * part).sum("year") / (years**2).sum()).rename("trend")
