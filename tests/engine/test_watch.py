"""What is taken over from a provider's list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from tradewind.engine.clock import SteadyClock
from tradewind.engine.rounds.watch import Watch
from tradewind.model.instance import InstanceStatus, Marks, ObservedInstance, Role
from tradewind.providers.base import Provider

AT = datetime(2026, 1, 1, tzinfo=UTC)


class Lists:
    """A provider of one fault, in the words of whoever wrote the task that died of it."""

    async def observe(self) -> list[ObservedInstance]:
        marks = Marks(installation="x", workspace="w", cluster="c", instance="i", order="o", role=Role.WORKER)
        evil = "failed: \x1b]0;owned\x07 größe\r\x9b2J"
        return [ObservedInstance(marks=marks, handle="o", status=InstanceStatus.STOPPED, started_at=AT, detail=evil)]


async def test_no_fault_brings_control_characters_to_a_terminal() -> None:
    watch = Watch(cast("Provider", cast("Any", Lists())), SteadyClock())
    (seen,) = (await watch.seen(AT)).seen
    assert seen.detail == "failed: \ufffd]0;owned\ufffd größe\ufffd\ufffd2J"
