"""Budgets and webhooks of a workspace over HTTP."""

from __future__ import annotations

from tradewind.errors import BadRequest, NameTaken, NotFound
from tradewind.model.budget import BudgetView, Webhook
from tradewind.model.exchange import BudgetChange, MadeWebhook, NewBudget, NewWebhook, Page
from tradewind.planning.wishes import check_keepable
from tradewind.server.history import aware
from tradewind.server.operation import Asked, Nothing, Table

table = Table("budgets")
ALL = "/workspaces/{workspace}/budgets"
HOOKS = "/workspaces/{workspace}/webhooks"


@table.on("GET", ALL, answer=Page[BudgetView])
async def list_all(asked: Asked[Nothing, Nothing]) -> Page[BudgetView]:
    """List the budgets of a workspace with how they stand, the oldest first."""
    return Page(items=tuple(await asked.verbs.budgets.budgets()))


@table.on("POST", ALL, body=NewBudget, answer=BudgetView, status=201, is_create=True, problems=(BadRequest, NameTaken))
async def create(asked: Asked[NewBudget, Nothing]) -> BudgetView:
    """Set a limit; what was spent in its period already counts."""
    wanted = asked.body
    check_keepable(wanted)
    return await asked.verbs.budgets.create_budget(
        wanted.limit,
        scope=wanted.scope,
        key=wanted.key,
        period=wanted.period,
        starts_at=aware(wanted.starts_at, "starts_at"),
        ends_at=aware(wanted.ends_at, "ends_at"),
        is_hard=wanted.is_hard,
        once=asked.once,
    )


@table.on("GET", ALL + "/{budget}", answer=BudgetView, problems=(NotFound,))
async def show(asked: Asked[Nothing, Nothing]) -> BudgetView:
    """Return a budget with how it stands, and what is to be expected of it."""
    return await asked.verbs.budgets.budget(asked.path("budget"))


@table.on("PATCH", ALL + "/{budget}", body=BudgetChange, answer=BudgetView, problems=(BadRequest, NotFound))
async def change(asked: Asked[BudgetChange, Nothing]) -> BudgetView:
    """Raise or lower a limit, or make it hard or soft; running clusters feel it within seconds."""
    wanted = asked.body
    check_keepable(wanted)
    return await asked.verbs.budgets.change_budget(asked.path("budget"), limit=wanted.limit, is_hard=wanted.is_hard)


@table.on("DELETE", ALL + "/{budget}", problems=(NotFound,))
async def remove(asked: Asked[Nothing, Nothing]) -> None:
    """Let a limit hold no longer."""
    await asked.verbs.budgets.remove_budget(asked.path("budget"))


@table.on("GET", HOOKS, answer=Page[Webhook])
async def webhooks(asked: Asked[Nothing, Nothing]) -> Page[Webhook]:
    """List where notifications of a workspace are posted to."""
    return Page(items=tuple(await asked.verbs.budgets.webhooks()))


# No Idempotency-Key: the answer holds a secret, which is kept nowhere it could be answered from again.
@table.on("POST", HOOKS, body=NewWebhook, answer=MadeWebhook, status=201, problems=(BadRequest,))
async def add_webhook(asked: Asked[NewWebhook, Nothing]) -> MadeWebhook:
    """Have notifications posted to an address; the key that signs them is answered this once."""
    check_keepable(asked.body)
    return await asked.verbs.budgets.add_webhook(asked.body.url)


@table.on("DELETE", HOOKS + "/{webhook}", problems=(NotFound,))
async def remove_webhook(asked: Asked[Nothing, Nothing]) -> None:
    """Post no more to an address."""
    await asked.verbs.budgets.remove_webhook(asked.path("webhook"))
