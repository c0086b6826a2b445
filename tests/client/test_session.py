"""What a program does with one cluster's record."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from tradewind.client.api import Api
from tradewind.client.session import Session
from tradewind.errors import NameTaken
from tradewind.model.cluster import Cluster, ClusterSpec, ClusterStatus, Intent, ScaleMemory, Scaling

SPEC = ClusterSpec(name="mine", workspace="default", provider="fake", scaling=Scaling.fixed(1))
RECORD = Cluster(
    id="tw-1",
    spec=SPEC,
    intent=Intent(scaling=SPEC.scaling),
    owner="me",
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    status=ClusterStatus.RUNNING,
    scale=ScaleMemory(wanted=1),
)


class Register:
    """Knows one record, and starts nothing."""

    def __init__(self, record: Cluster) -> None:
        self.record = record

    async def find(self, name: str, *, live: bool = True) -> Cluster | None:
        return self.record if name == self.record.name else None


def session(record: Cluster) -> Session:
    return Session(cast("Api", cast("Any", Register(record))), SPEC)


async def test_name_of_a_stopping_cluster_is_taken_and_says_what_to_do():
    with pytest.raises(NameTaken, match="'mine' is stopping.*another name"):
        await session(replace(RECORD, status=ClusterStatus.STOPPING)).find_or_create(
            look_for_name=True, scaling_asked=None
        )


async def test_a_live_cluster_of_the_name_is_attached_to_as_it_is(caplog):
    mine = session(RECORD)
    await mine.find_or_create(look_for_name=True, scaling_asked=Scaling.fixed(5))
    assert mine.attached
    assert mine.record is RECORD
    assert "n_workers is ignored" in caplog.text
