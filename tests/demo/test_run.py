"""The whole demo on the real fields: its figures, its check, its picture, its spans."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from distributed import Client
from matplotlib.image import imread

import tradewind.demo
from tradewind.demo.fields import SCENARIOS, scenario_path
from tradewind.demo.run import DemoResult, run_demo
from tradewind.demo.witness import TOLERANCE, check_trends, numpy_trend
from tradewind.errors import NotFound, TradewindError


@pytest.fixture(scope="module")
def result(client: Client, tmp_path_factory: pytest.TempPathFactory) -> DemoResult:
    return run_demo(tmp_path_factory.mktemp("demo") / "two-futures.png")


@pytest.fixture(scope="module")
def numpy_trends() -> xr.DataArray:
    return xr.DataArray(
        np.stack([numpy_trend(scenario_path(name)) for name in SCENARIOS]),
        dims=("scenario", "latitude", "longitude"),
        coords={"scenario": list(SCENARIOS)},
    )


def test_unchecked_growth_warms_more_than_twice_as_fast_as_mitigation(result: DemoResult) -> None:
    assert result.mean_trend["A1B"] == pytest.approx(0.448, abs=0.001)
    assert result.mean_trend["E1"] == pytest.approx(0.172, abs=0.001)


def test_the_cluster_and_numpy_agree_in_every_cell(result: DemoResult) -> None:
    assert result.difference <= TOLERANCE


def test_the_picture_is_not_blank_and_its_maps_are_red(result: DemoResult) -> None:
    pixels = imread(result.path)[..., :3]
    assert min(pixels.shape[:2]) > 1000
    white = (pixels > 0.99).all(axis=2).mean()
    red = ((pixels[..., 0] - pixels[..., 2]) > 0.3).mean()
    assert 0.3 < white < 0.9
    assert red > 0.05


def test_each_step_is_a_span_with_a_good_number_of_tasks(result: DemoResult, client: Client) -> None:
    def tasks_by_span(dask_scheduler) -> dict[str, int]:  # type: ignore[no-untyped-def]  # runs on the scheduler
        counts: dict[str, int] = {}
        for found in dask_scheduler.extensions["spans"].spans.values():
            name = " / ".join(found.name)
            counts[name] = counts.get(name, 0) + sum(len(group) for group in found.groups)
        return counts

    counts = client.run_on_scheduler(tasks_by_span)
    assert {"demo / open", "demo / anomaly", "demo / trend"} <= set(counts)
    assert all(counts[f"demo / {step}"] >= 100 for step in ("open", "anomaly", "trend"))


def test_the_result_prints_its_figures_and_where_the_picture_is(result: DemoResult) -> None:
    text = str(result)
    assert "A1B +0.448" in text
    assert "E1 +0.172" in text
    assert str(result.path) in text


def test_a_wrong_cell_fails_the_check_and_says_by_how_much(numpy_trends: xr.DataArray) -> None:
    wrong = numpy_trends.copy()
    wrong[1, 20, 30] += 0.001
    with pytest.raises(TradewindError, match=r"scenario E1 differs from NumPy's by 0\.001 K per decade"):
        check_trends(wrong)


def test_a_cell_that_is_not_a_number_fails_the_check(numpy_trends: xr.DataArray) -> None:
    broken = numpy_trends.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(TradewindError, match="differs from NumPy's by nan"):
        check_trends(broken)


def test_a_directory_without_the_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"A1B_north_america\.nc isn't in "):
        tradewind.demo.open_fields(tmp_path)
