"""What tests of Tradewind, and of providers for it, stand on. Needs pytest and hypothesis for some of its parts.

``FakeClock`` is time that a test moves; ``ProviderTests`` is the class that every provider passes;
``strategies`` makes arbitrary values of the model for Hypothesis.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from tradewind.testing.clock import FakeClock

if TYPE_CHECKING:
    from tradewind.testing.provider_tests import ProviderTests

__all__ = ["FakeClock", "ProviderTests"]


def __getattr__(name: str) -> object:
    """Import ``ProviderTests`` when it is asked for: a clock alone needs no pytest."""
    if name == "ProviderTests":
        return importlib.import_module("tradewind.testing.provider_tests").ProviderTests
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
