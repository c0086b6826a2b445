"""Numbers as people write them."""

from __future__ import annotations

import re

GROUPED = re.compile(r"[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?", re.ASCII)


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
