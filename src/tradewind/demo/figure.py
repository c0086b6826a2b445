"""The demo's picture: two maps of trends above the course of the regional mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Polygon
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from tradewind.demo.climate import BASE_PERIOD, TREND_PERIOD, regional_mean
from tradewind.demo.fields import SCENARIOS, SOURCE

INK = "#1d2733"
QUIET = "#64707d"
FAINT = "#d9dee3"
COLOURS = {"A1B": "#b2182b", "E1": "#2166ac"}
CITIES = {  # For orientation: coast lines are not at hand.
    "Vancouver": (-123.1, 49.3),
    "Winnipeg": (-97.1, 49.9),
    "Chicago": (-87.6, 41.9),
    "New York": (-74.0, 40.7),
    "Los Angeles": (-118.2, 34.1),
    "Mexico City": (-99.1, 19.4),
    "Miami": (-80.2, 25.8),
}
DOTS_PER_INCH = 160
CENTRE_LATITUDE = 38.0
CENTRE_LONGITUDE = -90.0
STANDARD_PARALLELS = (25.0, 50.0)
"""Degrees. True to scale along these two; both lie inside the demo's region."""

_FIRST, _SECOND = np.deg2rad(STANDARD_PARALLELS)
_CONE = np.log(np.cos(_FIRST) / np.cos(_SECOND)) / np.log(
    np.tan(np.pi / 4 + _SECOND / 2) / np.tan(np.pi / 4 + _FIRST / 2)
)
_SCALE = np.cos(_FIRST) * np.tan(np.pi / 4 + _FIRST / 2) ** _CONE / _CONE

Floats = NDArray[np.float64]


def draw(trends: xr.DataArray, series: xr.DataArray, path: Path) -> Path:
    """Draw trends and regional means into a PNG file and return its path.

    Parameters
    ----------
    trends : xarray.DataArray
        K per decade, with the dimensions scenario, latitude and longitude.
    series : xarray.DataArray
        Regional mean anomalies in K, with the dimensions scenario and year.
    path : Path
        Where to write; its directory must exist.
    """
    figure = Figure(figsize=(11, 8.6), facecolor="white")
    grid = figure.add_gridspec(
        2, 2, left=0.055, right=0.975, top=0.9, bottom=0.085, height_ratios=(1.5, 1), hspace=0.3, wspace=0.05
    )
    first, last = TREND_PERIOD
    figure.text(0.055, 0.951, "North America in two futures", fontsize=21, fontweight="bold", color=INK)
    figure.text(
        0.055,
        0.917,
        f"Trend of annual mean air temperature, {first} to {last}, and how it got there",
        fontsize=12.5,
        color=QUIET,
    )
    figure.text(0.055, 0.016, SOURCE, fontsize=8, color=QUIET)

    limit = _round_limit(float(np.abs(trends).max()))
    maps = []
    for column, name in enumerate(trends["scenario"].values.tolist()):
        axes = figure.add_subplot(grid[0, column])
        mesh = _draw_map(axes, trends.sel(scenario=name), name, limit)
        maps.append(axes)
    colours = figure.colorbar(
        mesh,
        ax=maps,
        orientation="horizontal",
        fraction=0.035,
        pad=0.045,
        aspect=46,
        shrink=0.62,
        ticks=np.linspace(-limit, limit, 9),
    )
    colours.set_label("K per decade", fontsize=9.5, color=INK)
    colours.ax.tick_params(labelsize=8.5, color=QUIET, labelcolor=INK, length=3)
    colours.outline.set_visible(False)

    _draw_series(figure.add_subplot(grid[1, :]), series)
    figure.savefig(path, dpi=DOTS_PER_INCH)
    return path


def _draw_map(axes: Axes, trend: xr.DataArray, name: str, limit: float) -> QuadMesh:
    longitudes, latitudes = _edges(trend["longitude"]), _edges(trend["latitude"])
    x, y = project(*np.meshgrid(longitudes, latitudes))
    mesh = axes.pcolormesh(x, y, trend.values, cmap="RdBu_r", vmin=-limit, vmax=limit, rasterized=True)
    _draw_grid_lines(axes, longitudes, latitudes)
    outline = _outline(longitudes, latitudes)
    axes.add_patch(Polygon(np.column_stack(outline), closed=True, fill=False, edgecolor=INK, linewidth=0.8))
    halo = [withStroke(linewidth=2.2, foreground="white", alpha=0.75)]
    for city, (longitude, latitude) in CITIES.items():
        east, north = project(longitude, latitude)
        axes.plot(east, north, "o", markersize=3.2, markerfacecolor=INK, markeredgecolor="white", markeredgewidth=0.6)
        axes.annotate(
            city,
            (float(east), float(north)),
            xytext=(4.5, 2.5),
            textcoords="offset points",
            fontsize=7.5,
            color=INK,
            path_effects=halo,
        )
    mean = float(regional_mean(trend))
    axes.set_title(SCENARIOS[name].title, loc="left", fontsize=12.5, fontweight="bold", color=COLOURS[name], pad=7)
    axes.set_title(f"mean {mean:+.2f} K per decade", loc="right", fontsize=10, color=INK, pad=7)
    axes.set_aspect("equal")
    axes.axis("off")
    return mesh


def _draw_grid_lines(axes: Axes, longitudes: Floats, latitudes: Floats) -> None:
    west, east = (longitudes[[0, -1]] + 180) % 360 - 180
    south, north = latitudes[[0, -1]]
    style: dict[str, Any] = {"color": INK, "linewidth": 0.45, "alpha": 0.35}
    label: dict[str, Any] = {"fontsize": 7.5, "color": QUIET}
    for longitude in np.arange(-120, east, 15):
        axes.plot(*project(longitude, np.linspace(south, north, 60)), **style)
        x, y = project(longitude, south)
        axes.annotate(
            f"{-longitude:.0f}°W",
            (float(x), float(y)),
            xytext=(0, -4),
            textcoords="offset points",
            ha="center",
            va="top",
            **label,
        )
    for latitude in np.arange(20, north, 10):
        axes.plot(*project(np.linspace(west, east, 120), latitude), **style)
        x, y = project(west, latitude)
        axes.annotate(
            f"{latitude:.0f}°N",
            (float(x), float(y)),
            xytext=(-4, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            **label,
        )


def _draw_series(axes: Axes, series: xr.DataArray) -> None:
    years = series["year"].values
    fork = TREND_PERIOD[0]
    smooth = series.rolling(year=11, center=True, min_periods=6).mean()
    axes.axvspan(*BASE_PERIOD, color=FAINT, alpha=0.6, linewidth=0)
    axes.text(
        sum(BASE_PERIOD) / 2,
        0.93,
        f"base\n{BASE_PERIOD[0]} to {BASE_PERIOD[1]}",
        transform=axes.get_xaxis_transform(),
        ha="center",
        va="top",
        fontsize=8.5,
        color=QUIET,
    )
    axes.axhline(0, color=QUIET, linewidth=0.8)
    for name in series["scenario"].values.tolist():
        # One year of the past belongs to the line, or the fork would have a gap.
        future = {"scenario": name, "year": slice(fork - 1, None)}
        _draw_course(axes, series.sel(future), smooth.sel(future), COLOURS[name])
        end = float(smooth.sel(scenario=name)[-1])
        axes.text(years[-1] + 2, end, name, fontsize=11, fontweight="bold", color=COLOURS[name], va="center")
    past = {"year": slice(None, fork - 1)}
    _draw_course(axes, series.isel(scenario=0).sel(past), smooth.isel(scenario=0).sel(past), INK)
    axes.text(1862, 0.62, "one past", fontsize=10, fontweight="bold", color=INK)
    axes.set_xlim(years[0], years[-1] + 9)
    axes.set_xticks(np.arange(1860, 2101, 40))
    axes.set_title(
        f"Regional mean: difference from {BASE_PERIOD[0]}-{BASE_PERIOD[1]} in K, each year and 11-year running mean",
        loc="left",
        fontsize=11,
        color=INK,
        pad=8,
    )
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    axes.tick_params(labelsize=9, color=QUIET, labelcolor=INK, length=3)
    axes.tick_params(axis="y", length=0)


def _draw_course(axes: Axes, yearly: xr.DataArray, smooth: xr.DataArray, colour: str) -> None:
    axes.plot(yearly["year"], yearly, color=colour, linewidth=0.8, alpha=0.45)
    axes.plot(smooth["year"], smooth, color=colour, linewidth=2.4, solid_capstyle="round")


def _round_limit(largest: float) -> float:
    """Return the end of a colour scale: the next fifth above, so that its ticks are round."""
    return max(0.2, float(np.ceil(largest * 5) / 5))


def _edges(centres: xr.DataArray) -> Floats:
    """Return the borders of the cells of a regular axis: one more than there are cells."""
    values = np.asarray(centres.values, dtype=np.float64)
    half = (values[1] - values[0]) / 2
    return np.append(values - half, values[-1] + half)


def _outline(longitudes: Floats, latitudes: Floats) -> tuple[Floats, Floats]:
    south, north = latitudes[[0, -1]]
    around_longitude = np.concatenate(
        [longitudes, np.full_like(latitudes, longitudes[-1]), longitudes[::-1], np.full_like(latitudes, longitudes[0])]
    )
    around_latitude = np.concatenate(
        [np.full_like(longitudes, south), latitudes, np.full_like(longitudes, north), latitudes[::-1]]
    )
    return project(around_longitude, around_latitude)


def project(longitude: Floats | float, latitude: Floats | float) -> tuple[Floats, Floats]:
    """Return x and y on the map, in radii of the Earth from its centre; both arguments in degrees, broadcast.

    The map is Lambert's conformal conic, the usual one of North America, on a sphere.

    Longitudes may run from 0 to 360 or from -180 to 180.
    """
    # Snyder, Map Projections: A Working Manual, 1987, equations 15-1 to 15-4.
    east = np.deg2rad((np.asarray(longitude, dtype=np.float64) - CENTRE_LONGITUDE + 180) % 360 - 180)
    radius = _radius(np.asarray(latitude, dtype=np.float64))
    return radius * np.sin(_CONE * east), _radius(np.float64(CENTRE_LATITUDE)) - radius * np.cos(_CONE * east)


def _radius(latitude: Floats | np.float64) -> Floats:
    return np.asarray(_SCALE / np.tan(np.pi / 4 + np.deg2rad(latitude) / 2) ** _CONE, dtype=np.float64)
