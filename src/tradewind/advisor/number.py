"""Numbers as people write them."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Any

GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?", re.ASCII)
MOST = Decimal(10) ** 12
"""More than this is a slip of the hand, whatever is counted."""
FINEST = 9
"""Decimal places that a number may have."""


def ungrouped(said: str) -> str:
    """Return a number without the commas between its thousands.

    Half the world writes 1,5 for 1.5, so that no other comma may be guessed at.

    Raises
    ------
    ValueError
        A comma stands somewhere else; says how to write the number.
    """
    if "," not in said:
        return said
    if GROUPED.fullmatch(said):
        return said.replace(",", "")
    meant = said.replace(",", ".") if said.count(",") == 1 and "." not in said else "1500.25"
    raise ValueError(f"a comma stands between thousands alone; write {meant}, with a point")


def plain_number(said: Any) -> Decimal | None:
    """Return a number from 0 up that somebody may have meant; None for all else.

    What is written with an exponent may be a number whose digits fill the memory once it is shown.
    """
    if isinstance(said, bool):
        return None
    try:
        number = Decimal(ungrouped(str(said).strip()))
    except (InvalidOperation, ValueError):
        return None
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -FINEST or not 0 <= number <= MOST:
        return None
    return number
