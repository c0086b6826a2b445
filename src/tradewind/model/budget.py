"""A limit on spending."""

from dataclasses import dataclass

from tradewind.model.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetState:
    """How a limit stands now."""

    limit: Money
    spent: Money
    """Metered up to now."""
    burn_per_hour: Money
    """What an hour costs at the present size."""

    @property
    def left(self) -> Money:
        """What may still be spent; never below 0."""
        rest = max(self.limit.amount - self.spent.amount, self.limit.amount * 0)
        return Money(amount=rest, currency=self.limit.currency)

    @property
    def percent(self) -> int:
        """Spent, in whole per cent of the limit, rounded down."""
        if self.limit.amount == 0:
            return 100
        return int(self.spent.amount * 100 / self.limit.amount)
