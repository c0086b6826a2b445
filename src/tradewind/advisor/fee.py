"""What a partner asks for so many people: one sum for all, or a list of steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tradewind.advisor.number import MOST, plain_number

STEP_KEYS = frozenset({"up_to", "fixed", "each", "spot", "use_up_to"})


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeStep:
    """What groups up to a size pay in a month: a fixed sum, and something for each head beyond the step before."""

    up_to: int | None
    """People; None where there is no end to it."""
    fixed: Decimal
    each: Decimal = Decimal(0)
    spot: bool = True
    """Whether spot machines may be had on it."""
    use_up_to: Decimal | None = None
    """US dollars of use that it covers, and where it stops; None where use is paid for beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fee:
    """A fee in US dollars a month, without machines. Beyond the last step nobody knows it."""

    steps: tuple[FeeStep, ...]
    """In the order of their sizes."""

    def step(self, people: Decimal | float, use: float = 0.0) -> FeeStep | None:
        """Return the least step that admits so many people and so many dollars of use; None where none is known."""
        for step in self.steps:
            if (step.up_to is None or people <= step.up_to) and (step.use_up_to is None or use <= step.use_up_to):
                return step
        return None

    def of(self, people: Decimal | float, use: float = 0.0) -> Decimal | None:
        """Return what so many people pay in a month, beside what they use; None where nobody knows."""
        step = self.step(people, use)
        if step is None:
            return None
        before = max((one.up_to or 0 for one in self.steps[: self.steps.index(step)]), default=0)
        return step.fixed + step.each * max(Decimal(0), Decimal(people) - before)

    @property
    def is_flat(self) -> bool:
        """Whether all pay the same, whatever their number."""
        return len(self.steps) == 1 and self.steps[0].up_to is None and not self.steps[0].each

    @property
    def is_paid(self) -> bool:
        """Whether some group pays something."""
        return any(step.fixed or step.each for step in self.steps)

    def __str__(self) -> str:
        if self.is_flat:
            return f"{self.steps[0].fixed:f}"
        told, before = [], 0
        for step in self.steps:
            each = f" + {step.each:f} for each" + (f" beyond {before}" if before else "") if step.each else ""
            people = (
                "more people"
                if step.up_to is None
                else f"up to {step.up_to:,} {'person' if step.up_to == 1 else 'people'}"
            )
            told.append(f"{people} {step.fixed:f}{each}")
            before = step.up_to or before
        return "; ".join(told) + ("" if self.steps[-1].up_to is None else "; more people unknown")

    def tables(self) -> list[dict[str, Any]]:
        """Return the steps for JSON."""
        return [
            {
                "up_to": step.up_to,
                "fixed": f"{step.fixed:f}",
                "each": f"{step.each:f}",
                "spot": step.spot,
                "use_up_to": None if step.use_up_to is None else f"{step.use_up_to:f}",
            }
            for step in self.steps
        ]


def flat(amount: Decimal) -> Fee:
    """Return a fee that is the same for everybody."""
    return Fee(steps=(FeeStep(up_to=None, fixed=amount),))


def read_fee(said: Any) -> Fee:
    """Return the fee that a file tells: a number, or a list of steps.

    Raises
    ------
    ValueError
        It is neither; says what is wrong.
    """
    if _is_amount(said):
        return flat(Decimal(said))
    if not isinstance(said, list | tuple) or not said:
        raise ValueError("it is to be a number from 0 up, or a list of steps.")
    steps = tuple(_step(table, number) for number, table in enumerate(said, start=1))
    for earlier, later in zip(steps, steps[1:], strict=False):
        ends = earlier.up_to is None or (later.up_to is not None and later.up_to < earlier.up_to)
        if ends or (later.up_to == earlier.up_to and earlier.use_up_to is None):
            raise ValueError("its steps are to go from the smallest group to the biggest.")
    sizes = [step.up_to for step in steps if step.up_to is not None]
    if steps[-1].up_to is None:
        sizes.append((sizes[-1] if sizes else 0) + 1)
    fee = Fee(steps=steps)
    paid = [fee.of(people) for size in sizes for people in (size, size + 1)]
    known = [amount for amount in paid if amount is not None]
    if known != sorted(known):
        raise ValueError("a bigger group would pay less than a smaller one.")
    return fee


def _step(table: Any, number: int) -> FeeStep:
    if not isinstance(table, Mapping):
        raise ValueError(f"step {number} is to be a table, as {{ up_to = 10, fixed = 100, each = 5 }}.")  # noqa: TRY004 - a file's fault
    strange = sorted(set(table) - STEP_KEYS)
    if strange:
        raise ValueError(
            f"nobody knows what {strange[0]!r} of step {number} means; a step has {', '.join(sorted(STEP_KEYS))}."
        )
    up_to, spot = table.get("up_to"), table.get("spot", True)
    if up_to is not None and (isinstance(up_to, bool) or not isinstance(up_to, int) or not 1 <= up_to <= MOST):
        raise ValueError(f"up_to of step {number} is to be a whole number of people.")
    if not isinstance(spot, bool):
        raise ValueError(f"spot of step {number} is to be true or false.")  # noqa: TRY004 - a file's fault
    for key in ("fixed", "each", "use_up_to"):
        if not _is_amount(table.get(key, 0)):
            raise ValueError(f"{key} of step {number} is to be a number from 0 up.")
    if "fixed" not in table:
        raise ValueError(f"step {number} has no fixed sum; where there is none it is 0.")
    use = table.get("use_up_to")
    return FeeStep(
        up_to=up_to,
        fixed=Decimal(table["fixed"]),
        each=Decimal(table.get("each", 0)),
        spot=spot,
        use_up_to=None if use is None else Decimal(use),
    )


def _is_amount(said: Any) -> bool:
    return isinstance(said, int | Decimal) and plain_number(said) is not None
