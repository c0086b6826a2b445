"""What people are told once."""

from __future__ import annotations

from tradewind.engine.rounds.told import MOST_TOLD, Told


def test_of_a_trouble_a_cluster_is_told_once_and_not_all_that_was_told_is_remembered() -> None:
    told = Told()

    assert [told.is_news("c1", "no disk") for _ in range(2)] == [True, False]
    assert told.is_news("c1", "no net")
    assert all(told.is_news(f"d{number}", "no disk") for number in range(MOST_TOLD))
    assert told.is_news("c1", "no disk"), "forgotten"
    assert len(told._told) == MOST_TOLD
