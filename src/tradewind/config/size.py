"""A kind of value that settings have and Python hasn't."""

from __future__ import annotations

from typing import NewType

Size = NewType("Size", int)
"""Bytes; written as a number of them, or as text like "64 GiB"."""
