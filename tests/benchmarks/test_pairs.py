"""The benchmarks' arithmetic, on figures that a pencil can check."""

import runpy
from pathlib import Path

import pytest

pairs = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "pairs.py"))


def test_ratios_are_taken_within_pairs_and_of_medians() -> None:
    taken = {"a": [{"s": 1.0}, {"s": 3.0}, {"s": 2.0}], "b": [{"s": 2.0}, {"s": 3.0}, {"s": 8.0}]}
    (found,) = pairs["compare"](taken, "a", "b")
    assert (found.median_a, found.median_b) == (2.0, 3.0)
    assert found.ratio_of_medians == pytest.approx(2 / 3)
    assert found.paired_ratio == pytest.approx(0.5)  # of 1/2, 1, 1/4
    assert (found.paired_ratio_low, found.paired_ratio_high) == pytest.approx((0.375, 0.75))


def test_a_figure_that_one_side_lacks_is_not_compared() -> None:
    assert pairs["compare"]({"a": [{"x": 1.0, "y": 2.0}], "b": [{"y": 4.0}]}, "a", "b")[0].figure == "y"


def test_sides_take_turns_and_the_first_of_each_is_thrown_away() -> None:
    calls: list[str] = []

    def side(name: str) -> dict[str, float]:
        calls.append(name)
        return {"call": float(len(calls))}

    taken = pairs["take_turns"]({"a": lambda: side("a"), "b": lambda: side("b")}, pairs=2)
    assert calls == ["a", "b", "a", "b", "a", "b"]
    assert [figures["call"] for figures in taken["a"]] == [3, 5]


def test_a_measurement_that_fails_is_an_error_that_holds_its_words() -> None:
    with pytest.raises(RuntimeError, match=r"ended with 1:\n(.|\n)*no such luck"):
        pairs["measure"]("-c", "raise SystemExit('no such luck')")


HOME = "import json, os; print('noise'); print(json.dumps({'n': hash(os.environ['TRADEWIND_DATA_DIR'])}))"


def test_measurements_share_a_store_only_where_they_are_given_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    measure = pairs["measure"]
    assert measure("-c", HOME, home=tmp_path) == measure("-c", HOME, home=tmp_path)
    assert measure("-c", HOME) != measure("-c", HOME)
