"""Why a package is there, told from what is installed alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.boot.environment.projects import distribution
from tradewind.boot.environment.reasons import why
from tradewind.boot.environment.sources import look


def installed(site: Path, name: str, *requires: str, requested: bool = False) -> None:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {one}" for one in requires)]
    notes = {"REQUESTED": ""} if requested else {}
    distribution(site, name, metadata="\n".join([*lines, "", ""]).encode(), **notes)


@pytest.mark.parametrize(
    ("also_here", "extras", "chain"),
    [
        ((), {("plots", "")}, ("mine", "plots", "numbers")),
        (("sample",), {("plots", ""), ("mine", "demo")}, ("mine", "numbers")),
    ],
)
def test_an_extra_counts_where_all_that_it_asks_for_is_there(
    tmp_path: Path, also_here: tuple[str, ...], extras: set[tuple[str, str]], chain: tuple[str, ...]
) -> None:
    demo = [f"{name}; extra == 'demo'" for name in ("numbers", "sample")]
    installed(tmp_path, "mine", "plots; extra == 'dashboard'", *demo, requested=True)
    installed(tmp_path, "plots", "numbers >=1", "absent; python_version < '3'")
    installed(tmp_path, "numbers")
    for name in also_here:
        installed(tmp_path, name)

    reason = why("numbers", look([str(tmp_path)]))

    assert reason is not None
    assert {(wish.by, wish.extra) for wish in reason.wishes} == extras
    assert reason.chain == chain
