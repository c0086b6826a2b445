"""Lambert's conformal conic, the usual map of North America, on a sphere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

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


def project(longitude: Floats | float, latitude: Floats | float) -> tuple[Floats, Floats]:
    """Return x and y on the map, in radii of the Earth from its centre; both arguments in degrees, broadcast.

    Longitudes may run from 0 to 360 or from -180 to 180.
    """
    # Snyder, Map Projections: A Working Manual, 1987, equations 15-1 to 15-4.
    east = np.deg2rad((np.asarray(longitude, dtype=np.float64) - CENTRE_LONGITUDE + 180) % 360 - 180)
    radius = _radius(np.asarray(latitude, dtype=np.float64))
    return radius * np.sin(_CONE * east), _radius(np.float64(CENTRE_LATITUDE)) - radius * np.cos(_CONE * east)


def _radius(latitude: Floats | np.float64) -> Floats:
    return np.asarray(_SCALE / np.tan(np.pi / 4 + np.deg2rad(latitude) / 2) ** _CONE, dtype=np.float64)
