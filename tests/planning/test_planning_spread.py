"""Looks that drift apart, and are never late."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tradewind.planning.spread import LONG, SHARE, spread

NOW = datetime(2026, 11, 23, tzinfo=UTC)


@given(cluster=st.text(), wait=st.timedeltas(timedelta(seconds=-5), timedelta(hours=1)))
def test_a_look_is_never_late_and_little_early(cluster: str, wait: timedelta) -> None:
    at = spread(cluster, NOW, NOW + wait)

    assert at <= NOW + wait
    assert NOW + wait - at <= max(timedelta(0), wait) * SHARE
    assert wait >= LONG or at == NOW + wait


def test_a_thousand_that_began_together_are_apart_after_a_minute() -> None:
    wakes = dict.fromkeys((f"cluster-{number}" for number in range(1000)), NOW)
    for _ in range(12):
        wakes = {name: spread(name, at, at + timedelta(seconds=5)) for name, at in wakes.items()}
    seconds = [int(at.timestamp()) % 5 for at in wakes.values()]

    assert max(map(seconds.count, range(5))) < 300
