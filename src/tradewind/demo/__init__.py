"""Two futures of North America: the demo's science, shared by ``tradewind demo`` and the first example.

Real model output (annual air temperature, 1860 to 2099, two emission scenarios) from the package ``iris-sample-data``.
Everything runs on whatever Dask client is current; nothing here knows how its workers came to be.
"""

from importlib import import_module

from tradewind.errors import MissingExtra

EXTRA = {"iris_sample_data", "matplotlib", "netCDF4", "numpy", "xarray"}
"""Top-level modules that ``pip install 'tradewind[demo]'`` brings."""

try:
    import_module("iris_sample_data")  # The data: fields.py finds its files; asked for here so that one place answers.
    from tradewind.demo.climate import anomaly, regional_mean, trend
    from tradewind.demo.fields import SCENARIOS, open_fields
    from tradewind.demo.figure import draw
    from tradewind.demo.run import DemoResult, run_demo
    from tradewind.demo.witness import check_trends
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] not in EXTRA:
        raise
    raise MissingExtra(
        f"the demo needs the package {error.name!r}, which isn't installed; run: pip install 'tradewind[demo]'"
    ) from error

__all__ = [
    "SCENARIOS",
    "DemoResult",
    "anomaly",
    "check_trends",
    "draw",
    "open_fields",
    "regional_mean",
    "run_demo",
    "trend",
]
