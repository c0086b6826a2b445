"""A second real input: ocean climatologies from Debian's package ferret-datasets."""

from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from distributed import Client

COADS = Path("/usr/share/ferret-vis/data/coads_climatology.cdf")
"""Sea surface temperature and winds of an average year, 2 degrees, 12 months; from ships' logs, so with gaps."""

pytestmark = pytest.mark.skipif(not COADS.is_file(), reason=f"{COADS} isn't here; run: apt-get install ferret-datasets")


@pytest.fixture
def months_of_sst(client: Client) -> xr.DataArray:
    # Its months are fractions of a mean year that no calendar knows: the numbers 1 to 12 say what is meant.
    dataset = xr.open_dataset(COADS, engine="netcdf4", decode_times=False, chunks={"TIME": 3})
    return dataset["SST"].astype("float64").assign_coords(TIME=np.arange(1, 13)).rename(TIME="month")


@pytest.fixture
def numpy_sst() -> np.ma.MaskedArray:
    with netCDF4.Dataset(COADS) as dataset:
        return dataset["SST"][:].astype(np.float64)


def test_the_seasonal_range_of_the_sea_surface_is_that_of_numpy(
    months_of_sst: xr.DataArray, numpy_sst: np.ma.MaskedArray
) -> None:
    found = (months_of_sst.max("month") - months_of_sst.min("month")).compute()
    expected = np.ma.filled(numpy_sst.max(axis=0) - numpy_sst.min(axis=0), np.nan)
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-12)


def test_the_hemispheres_are_warmest_in_opposite_seasons(months_of_sst: xr.DataArray) -> None:
    # Only cells that ships visited in every month, else the mean would follow the ships and not the sun.
    complete = months_of_sst.where(months_of_sst.notnull().all("month"))
    latitude = complete["COADSY"]
    north = complete.where(latitude > 0).mean(("COADSY", "COADSX")).compute()
    south = complete.where(latitude < 0).mean(("COADSY", "COADSX")).compute()
    assert int(north.idxmax("month")) in {8, 9}
    assert int(south.idxmax("month")) in {2, 3}


def test_the_mean_over_the_ocean_is_that_of_numpy(months_of_sst: xr.DataArray, numpy_sst: np.ma.MaskedArray) -> None:
    area = np.cos(np.deg2rad(months_of_sst["COADSY"].astype("float64")))
    found = months_of_sst.weighted(area).mean(("COADSY", "COADSX")).compute()
    weights = np.broadcast_to(area.values[None, :, None], numpy_sst.shape)
    expected = np.ma.average(numpy_sst.reshape(12, -1), axis=1, weights=weights.reshape(12, -1))
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-10)
    assert 15 < float(found.mean()) < 22
