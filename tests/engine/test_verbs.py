"""What can be asked of an engine: each verb found by its name alone, and answered for one caller."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from tradewind.client.api import Engine
from tradewind.config import Settings
from tradewind.engine.shared import Shared
from tradewind.engine.verbs import Verbs
from tradewind.errors import Forbidden
from tradewind.model.exchange import NewDeposit
from tradewind.model.people import Caller, MemberRole

MIA = Caller(user_id="u-mia", user="mia", workspace="lab", role=MemberRole.MEMBER)


def verbs_of(noun: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(noun, inspect.isfunction) if not name.startswith("_")}


def test_no_two_nouns_have_a_verb_of_the_same_name() -> None:
    counted = Counter(name for noun in get_type_hints(Verbs).values() for name in verbs_of(noun))

    assert counted
    assert [name for name, nouns in counted.items() if nouns > 1] == []


async def test_whatever_a_client_may_ask_is_a_verb_of_some_noun(tmp_path: Path) -> None:
    shared = await Shared.open(Settings(), tmp_path)
    asked = [name for name, _ in inspect.getmembers(Engine, inspect.iscoroutinefunction)]
    found = [shared.assembly.verbs.named(name).__name__ for name in asked]
    with pytest.raises(AttributeError, match="no verb 'clusters'"):
        shared.assembly.verbs.named("clusters")
    await shared.aclose()

    assert len(asked) > 25
    assert found == asked


async def test_every_noun_answers_whom_it_is_asked_for_and_nobody_else(tmp_path: Path) -> None:
    shared = await Shared.open(Settings(), tmp_path)

    def ask(verbs: Verbs) -> list[Coroutine[Any, Any, object]]:
        return [
            verbs.clusters.list_clusters(),
            verbs.deposits.deposit(NewDeposit(provider="fake", artifacts=())),
            verbs.records.computations(),
            verbs.budgets.budgets(),
            verbs.environments.environments(),
            verbs.members.members(),
        ]

    for answered in ask(shared.assembly.as_(MIA)):
        await answered
    for refused in ask(shared.assembly.verbs):
        with pytest.raises(Forbidden):
            await refused
    await shared.aclose()
