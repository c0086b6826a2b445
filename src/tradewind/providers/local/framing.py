"""How orders travel to the warm process. Apart from it, since it loads Dask and who gives the orders needn't."""

from __future__ import annotations

import struct

LENGTH = struct.Struct("!Q")
"""Bytes of the order that follows."""
