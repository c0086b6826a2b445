"""The library that reads and solves conda environments, imported by who needs it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from tradewind.errors import MissingExtra


def rattler(file: Path) -> Any:
    """Return the library. Raises MissingExtra."""
    try:
        return importlib.import_module("rattler")
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"{file.name} is read by rattler, which isn't installed: pip install 'tradewind[software]'"
        ) from error
