"""A server for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.server.stage import Stage
from tradewind.model.people import MemberRole


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A server with two workspaces that have nothing to do with each other."""
    stage = await Stage.open(tmp_path)
    await stage.workspace(
        "lab",
        {
            "olga": MemberRole.OWNER,
            "ana": MemberRole.ADMIN,
            "mia": MemberRole.MEMBER,
            "max": MemberRole.MEMBER,
            "vera": MemberRole.VIEWER,
            "tom": MemberRole.MENTOR,
        },
        agreed=("max",),
    )
    await stage.workspace("other", {"otto": MemberRole.OWNER})
    await stage.user("root", is_operator=True)
    yield stage
    await stage.aclose()
