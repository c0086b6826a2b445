"""The demo's input: annual air temperature over North America in two futures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import xarray as xr

from tradewind.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One future, and the file that holds it."""

    file: str
    title: str
    """For a person."""


SCENARIOS: Mapping[str, Scenario] = {
    "A1B": Scenario(file="A1B_north_america.nc", title="A1B: balanced growth"),
    "E1": Scenario(file="E1_north_america.nc", title="E1: strong mitigation"),
}
"""The two futures by their names in the literature. Up to 1999 both are the same past."""

SOURCE = (
    "Data: Met Office Unified Model 6.05, via iris-sample-data. © British Crown copyright, Open Government Licence."
)

YEARS_PER_CHUNK = 4
"""Chunks this small cost more than they compute; they are here so that 7 MB make a few hundred tasks."""


def data_directory() -> Path:
    """Return where ``iris-sample-data`` keeps its files on this machine."""
    return Path(str(files("iris_sample_data") / "sample_data"))


def scenario_path(name: str, directory: Path | None = None) -> Path:
    """Return the file of a scenario.

    Raises
    ------
    NotFound
        There is no such file in ``directory`` (by default, in the installed package).
    """
    path = (directory or data_directory()) / SCENARIOS[name].file
    if not path.is_file():
        raise NotFound(f"{path.name} isn't in {path.parent}; run: pip install --force-reinstall iris-sample-data")
    return path


def open_fields(directory: Path | None = None) -> xr.DataArray:
    """Open both futures lazily, as one array in K with the dimensions scenario, year, latitude and longitude.

    Only the headers are read here. The workers read the rest, so they must see the same files: on machines that
    don't share a file system with the caller, give a ``directory`` that all of them have.

    Parameters
    ----------
    directory : Path, optional
        Where the NetCDF files are; the installed ``iris-sample-data`` by default.

    Returns
    -------
    xarray.DataArray
        Float64, chunked along year.

    Raises
    ------
    NotFound
        A file isn't there.
    """
    futures = [_open_future(scenario_path(name, directory)) for name in SCENARIOS]
    return xr.concat(futures, dim=xr.Variable("scenario", list(SCENARIOS)), coords="minimal", compat="override")


def _open_future(path: Path) -> xr.DataArray:
    dataset = xr.open_dataset(path, engine="netcdf4", chunks={"time": YEARS_PER_CHUNK})
    field = dataset["air_temperature"].reset_coords(drop=True)
    # The model's calendar has 360 days; one value a year needs no more than the year itself.
    field = field.assign_coords(time=field["time"].dt.year).rename(time="year")
    # The files hold 32 bits; sums over 240 years in 32 bits would differ from NumPy's in the fifth digit.
    return field.astype("float64").rename("air_temperature")
