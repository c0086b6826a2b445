"""The demo's input: annual air temperature over North America in two futures."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
from dask.base import tokenize

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

_ONE_AT_A_TIME = threading.Lock()
"""The library below NetCDF bears no two threads at once."""


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

    Only the headers are read here. The workers read the rest, each from its own ``iris-sample-data``: they may be
    other machines.

    Parameters
    ----------
    directory : Path, optional
        Where the NetCDF files are, here and on every worker; the installed ``iris-sample-data`` by default.

    Returns
    -------
    xarray.DataArray
        Float64, chunked along year.

    Raises
    ------
    NotFound
        A file isn't there.
    """
    futures = [_open_future(name, directory) for name in SCENARIOS]
    return xr.concat(futures, dim=xr.Variable("scenario", list(SCENARIOS)), coords="minimal", compat="override")


def _open_future(name: str, directory: Path | None) -> xr.DataArray:
    with xr.open_dataset(scenario_path(name, directory), engine="netcdf4") as dataset:
        field = dataset["air_temperature"].reset_coords(drop=True)
        # The model's calendar has 360 days; one value a year needs no more than the year itself.
        field = field.assign_coords(time=field["time"].dt.year).rename(time="year")
        chunks = (da.core.normalize_chunks(YEARS_PER_CHUNK, (field.sizes["year"],))[0], *field.shape[1:])
        # The files hold 32 bits; sums over 240 years in 32 bits would differ from NumPy's in the fifth digit.
        data = da.map_blocks(
            _read_years,
            name=f"open-{name}-{tokenize(directory)}",
            chunks=tuple(part if isinstance(part, tuple) else (part,) for part in chunks),
            dtype="float64",
            meta=np.empty((0,) * field.ndim),
            scenario=name,
            directory=directory,
        )
        return xr.DataArray(data, coords=field.coords, dims=field.dims, attrs=field.attrs, name="air_temperature")


def _read_years(scenario: str, directory: Path | None, block_info: Any) -> npt.NDArray[np.float64]:
    """Read one chunk where this runs: paths of the caller's machine mean nothing on others."""
    first, last = block_info[None]["array-location"][0]
    path = scenario_path(scenario, directory)
    with _ONE_AT_A_TIME, xr.open_dataset(path, engine="netcdf4", decode_times=False) as dataset:
        years: npt.NDArray[np.float64] = dataset["air_temperature"][first:last].to_numpy().astype("float64")
    return years
