"""The examples: each notebook says what its script says, and the second half of the first one is right."""

import json
import runpy
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from distributed import Client

from tradewind.demo.fields import data_directory

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "examples").glob("[0-9]*.py"))
notebook = runpy.run_path(str(ROOT / "tools" / "notebooks.py"))["notebook"]


def test_there_are_examples() -> None:
    assert SCRIPTS


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_notebook_is_in_step_with_its_script(script: Path) -> None:
    expected = notebook(script.read_text(encoding="utf-8"))
    assert script.with_suffix(".ipynb").read_text(encoding="utf-8") == expected, "run: python tools/notebooks.py"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_notebook_holds_no_outputs(script: Path) -> None:
    cells = json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)


def test_a_cell_for_notebooks_alone_is_a_comment_in_the_script() -> None:
    text = '# %% [markdown]\n# # Title\n#\n# text\n\n# %%\nx = 1  # one\n\n# %% tags=["active-ipynb"]\n# show(x)\n'
    cells = json.loads(notebook(text))["cells"]
    assert [(cell["cell_type"], "".join(cell["source"])) for cell in cells] == [
        ("markdown", "# Title\n\ntext"),
        ("code", "x = 1  # one"),
        ("code", "show(x)"),
    ]


@pytest.mark.parametrize("script", ["x = 1\n# %%\n", "# %% oops\nx = 1\n"])
def test_a_script_that_is_not_all_cells_is_refused(script: str) -> None:
    with pytest.raises(ValueError, match="begins with"):
        notebook(script)


def test_the_seasonal_anomaly_of_the_pacific_is_that_of_numpy(client: Client) -> None:
    path = data_directory() / "ostia_monthly.nc"
    ocean = xr.open_dataset(path, chunks={})["surface_temperature"].astype("float64")
    pacific = ocean.sel(longitude=slice(190, 240)).mean(("latitude", "longitude"))
    months = pacific.groupby("time.month")
    found = (months - months.mean()).compute()

    with netCDF4.Dataset(path) as dataset:
        box = (dataset["longitude"][:] >= 190) & (dataset["longitude"][:] <= 240)
        series = np.ma.filled(dataset["surface_temperature"][:, :, box].astype(np.float64), np.nan)
    series = np.nanmean(series.reshape(len(series), -1), axis=1)
    month = (np.arange(len(series)) + 3) % 12  # The first is April.
    expected = series - np.array([series[month == m].mean() for m in range(12)])[month]
    np.testing.assert_allclose(found.values, expected, rtol=0, atol=1e-10)
    assert str(found.idxmin("time").dt.strftime("%Y-%m").item()) == "2007-11"
    assert str(found.idxmax("time").dt.strftime("%Y-%m").item()) == "2010-01"
