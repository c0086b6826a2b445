"""A sentence instead of a bare ImportError where a library for tests is missing."""

from __future__ import annotations

import importlib

from tradewind.errors import MissingExtra


def require(*libraries: str) -> None:
    """Import these libraries, or say how to install them.

    Raises
    ------
    MissingExtra
        One isn't installed; the message holds the command that installs all.
    """
    for library in libraries:
        try:
            importlib.import_module(library)
        except ModuleNotFoundError as error:
            if error.name != library:
                raise
            raise MissingExtra(
                f"this part of tradewind.testing needs the library {library!r}, which isn't installed: "
                "pip install 'tradewind[test]'"
            ) from error
