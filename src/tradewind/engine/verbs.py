"""All that can be asked of an engine within a workspace, as one who asks has it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields
from typing import Any

from tradewind.engine.access.members import Members
from tradewind.engine.clusters import Clusters
from tradewind.engine.deposits import Deposits
from tradewind.engine.environments import Environments
from tradewind.engine.records import Records
from tradewind.engine.spending.budgets import Budgets


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbs:
    """The verbs, by the noun they are of. No two nouns have a verb of the same name."""

    clusters: Clusters
    records: Records
    budgets: Budgets
    environments: Environments
    deposits: Deposits
    members: Members

    def named(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        """Return the verb of this name, whichever noun has it. Raises AttributeError where none does."""
        for field in fields(self):
            verb: Callable[..., Coroutine[Any, Any, Any]] | None = getattr(getattr(self, field.name), name, None)
            if verb is not None:
                return verb
        raise AttributeError(f"an engine has no verb {name!r}")
