"""The map's projection against properties that define it."""

import numpy as np
import pytest

from tradewind.demo.figure import CENTRE_LATITUDE, CENTRE_LONGITUDE, STANDARD_PARALLELS, project

STEP = 1e-4
"""Degrees; small enough for slopes, large enough for 64 bits."""


def test_the_centre_is_the_origin() -> None:
    np.testing.assert_allclose(project(CENTRE_LONGITUDE, CENTRE_LATITUDE), (0, 0), atol=1e-12)


def test_longitudes_may_be_written_in_two_ways() -> None:
    np.testing.assert_allclose(project(240.0, 50.0), project(-120.0, 50.0), atol=1e-12)


@pytest.mark.parametrize("latitude", STANDARD_PARALLELS)
def test_a_standard_parallel_is_true_to_scale(latitude: float) -> None:
    east, north = np.subtract(project(-80.0 + STEP, latitude), project(-80.0, latitude))
    assert np.hypot(east, north) == pytest.approx(np.deg2rad(STEP) * np.cos(np.deg2rad(latitude)), rel=1e-6)


@pytest.mark.parametrize("place", [(-123.0, 49.0), (-99.0, 19.0), (-60.0, 58.0)])
def test_shapes_are_kept_so_parallels_and_meridians_stretch_alike(place: tuple[float, float]) -> None:
    longitude, latitude = place
    along_parallel = np.subtract(project(longitude + STEP, latitude), project(longitude, latitude))
    along_meridian = np.subtract(project(longitude, latitude + STEP), project(longitude, latitude))
    assert np.dot(along_parallel, along_meridian) == pytest.approx(0, abs=1e-15)
    stretched = np.hypot(*along_parallel) / np.cos(np.deg2rad(latitude))
    assert stretched == pytest.approx(np.hypot(*along_meridian), rel=1e-5)
