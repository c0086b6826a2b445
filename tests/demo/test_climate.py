"""The demo's science on small fields whose answers NumPy, or a pencil, gives."""

import numpy as np
import pytest
import xarray as xr

from tradewind.demo import anomaly, regional_mean, trend


def field(values: np.ndarray, first_year: int = 2000) -> xr.DataArray:
    years, rows, columns = values.shape
    return xr.DataArray(
        values,
        dims=("year", "latitude", "longitude"),
        coords={
            "year": first_year + np.arange(years),
            "latitude": np.linspace(0, 60, rows),
            "longitude": np.linspace(225, 315, columns),
        },
    )


@pytest.fixture
def noise() -> xr.DataArray:
    return field(280 + 5 * np.random.default_rng(seed=7).standard_normal((30, 4, 5)))


def test_anomaly_is_the_difference_from_the_mean_of_the_base_period_both_ends_included(noise: xr.DataArray) -> None:
    found = anomaly(noise.chunk(year=7), base_period=(2005, 2014)).compute()
    expected = noise.values - noise.values[5:15].mean(axis=0)
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-10)


def test_trend_of_each_cell_is_that_of_polyfit_per_decade(noise: xr.DataArray) -> None:
    found = trend(noise.chunk(year=7), period=(2003, 2024)).compute()
    series = noise.values[3:25].reshape(22, -1)
    expected = 10 * np.polyfit(np.arange(2003, 2025), series, 1)[0].reshape(4, 5)
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-10)


def test_trend_of_a_straight_line_is_its_slope() -> None:
    line = 0.03 * np.arange(20.0)[:, None, None] * np.array([[1.0, -2.0]])
    found = trend(field(line).chunk(year=3), period=(2000, 2019)).compute()
    np.testing.assert_allclose(found.values, [[0.3, -0.6]], rtol=0, atol=1e-12)


def test_regional_mean_weighs_cells_by_the_cosine_of_their_latitude() -> None:
    rows = field(np.broadcast_to(np.array([1.0, 4.0])[None, :, None], (1, 2, 3)).copy())
    # cos 0° = 1 and cos 60° = 1/2, so (1 + 4/2) / (3/2) = 2.
    assert float(regional_mean(rows).squeeze()) == pytest.approx(2.0, abs=1e-12)


def test_everything_stays_lazy_until_asked(noise: xr.DataArray) -> None:
    chunked = noise.chunk(year=7)
    for step in (anomaly(chunked, (2000, 2009)), regional_mean(chunked), trend(chunked, (2000, 2029))):
        assert step.chunks is not None
