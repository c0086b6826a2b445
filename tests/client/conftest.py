"""The fixtures of the real runs, for clusters seen from the client's side."""

from tests.e2e.conftest import caller, home

__all__ = ["caller", "home"]
