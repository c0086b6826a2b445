"""Whoever changes a limit, or who hears of one, leaves a line in the audit log; whoever may not, leaves none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from tests.engine.purse import OWNER, budgets, usd
from tests.engine.stage import Stage
from tradewind.errors import BadRequest, Forbidden, NameTaken, NotFound
from tradewind.model.budget import BudgetScope
from tradewind.model.exchange import NewBudget
from tradewind.model.people import AuditEntry, MemberRole


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = await Stage.open("sqlite://")
    yield stage
    await stage.store.aclose()


async def lines(stage: Stage) -> list[tuple[str, str, str, str]]:
    """Return who did what to what, and how, the oldest first."""
    found: tuple[AuditEntry, ...] = await stage.store.people.audit("lab")
    assert all(one.at == stage.clock.now() for one in found)
    return [(one.user, one.action, one.subject, one.detail) for one in reversed(found)]


async def test_each_change_of_a_budget_says_who_from_what_to_what(stage: Stage) -> None:
    verbs = budgets(stage, request_id="r-7")
    made = await verbs.create_budget(usd("50"), scope=BudgetScope.USER, key="eve")
    await verbs.change_budget(made.budget.id, limit=usd("60"))
    await verbs.set_budget(NewBudget(limit=usd("60"), scope=BudgetScope.USER, key="eve", is_hard=False))
    await verbs.remove_budget(made.budget.id)
    whom = "for user 'eve'"
    assert await lines(stage) == [
        ("ada", "budget.created", made.budget.id, f"the budget of 50.00 USD a month {whom}"),
        ("ada", "budget.changed", made.budget.id, "from 50.00 USD, hard, to 60.00 USD, hard"),
        ("ada", "budget.changed", made.budget.id, "from 60.00 USD, hard, to 60.00 USD, soft"),
        ("ada", "budget.removed", made.budget.id, f"the budget of 60.00 USD a month {whom}"),
    ]
    assert {entry.request_id for entry in await stage.store.people.audit("lab")} == {"r-7"}


async def test_a_webhook_leaves_its_host_and_neither_its_path_nor_its_key(stage: Stage) -> None:
    verbs = budgets(stage)
    made = await verbs.add_webhook("https://hooks.example.org/T0P/s3cret?token=t0ken")
    await verbs.remove_webhook(made.webhook.id)
    assert await lines(stage) == [
        ("ada", "webhook.created", made.webhook.id, "hooks.example.org"),
        ("ada", "webhook.removed", made.webhook.id, ""),
    ]
    told = str(await stage.store.people.audit("lab"))
    assert not any(word in told for word in ("s3cret", "t0ken", made.signing_key))


async def test_an_address_with_a_password_is_refused_and_not_written_down(stage: Stage) -> None:
    with pytest.raises(BadRequest) as refused:
        await budgets(stage).add_webhook("https://ada:s3cret@example.org/hook")
    assert "s3cret" not in str(refused.value)
    assert await lines(stage) == []


@pytest.mark.parametrize(
    ("scope", "key"), [(BudgetScope.USER, "u" * 201), (BudgetScope.TAG, "project=" + "p" * 193)], ids=["user", "tag"]
)
async def test_a_key_of_more_than_two_hundred_characters_is_refused_by_name(
    stage: Stage, scope: BudgetScope, key: str
) -> None:
    with pytest.raises(BadRequest, match=r"the budget's key '(uuu|project=).{0,60}'… has 201 characters"):
        await budgets(stage).create_budget(usd("50"), scope=scope, key=key)
    assert await lines(stage) == []
    assert (await budgets(stage).create_budget(usd("50"), scope=scope, key=key[:200])).budget.key == key[:200]


async def test_a_budget_is_made_as_it_is_shown_next(stage: Stage) -> None:
    await stage.create()
    await stage.up(stage.engine())
    stage.clock.advance(600)
    verbs = budgets(stage)
    made = await verbs.create_budget(usd("50"))
    assert made == await verbs.budget(made.budget.id)
    assert made.state.spent.amount > 0
    assert made.state.burn_per_hour.amount > 0


async def test_what_is_refused_leaves_no_line_and_no_change(stage: Stage) -> None:
    verbs = budgets(stage)
    made = await verbs.create_budget(usd("50"))
    before = await lines(stage)
    eve = budgets(stage, replace(OWNER, user_id="u-eve", user="eve", role=MemberRole.MEMBER))
    elsewhere = budgets(stage, replace(OWNER, workspace="another"))
    for refused, verb in (
        (Forbidden, eve.create_budget(usd("1"))),
        (Forbidden, eve.change_budget(made.budget.id, limit=usd("1"))),
        (Forbidden, eve.remove_budget(made.budget.id)),
        (Forbidden, eve.add_webhook("https://example.org/hook")),
        (NotFound, elsewhere.change_budget(made.budget.id, limit=usd("1"))),
        (NotFound, elsewhere.remove_budget(made.budget.id)),
        (NotFound, verbs.remove_budget("budget-none")),
        (NotFound, verbs.remove_webhook("hook-none")),
        (NameTaken, verbs.create_budget(usd("70"))),
        (BadRequest, verbs.change_budget(made.budget.id, limit=replace(usd("1"), currency="EUR"))),
    ):
        with pytest.raises(refused):
            await verb
    assert await lines(stage) == before
    assert await stage.store.people.audit("another") == ()
    assert (await verbs.budget(made.budget.id)).budget.limit == usd("50")
