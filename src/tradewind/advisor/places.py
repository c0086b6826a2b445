"""Countries by name or code, and the groups they belong to."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

from tradewind.errors import BadRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The countries of the world."""

    names: Mapping[str, tuple[str, ...]]
    """From the ISO 3166 code to the names people use, the usual one first."""
    groups: Mapping[str, frozenset[str]]
    """From a group, as "eu", to the codes of its countries."""
    _codes: dict[str, str] = field(init=False, repr=False, compare=False)
    _around: dict[str, frozenset[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        codes = {_plain(name): code for code, names in self.names.items() for name in (code, *names)}
        object.__setattr__(self, "_codes", codes)
        around = {
            code: frozenset({code, *(group for group, codes in self.groups.items() if code in codes)})
            for code in self.names
        }
        object.__setattr__(self, "_around", around)

    def around(self, code: str) -> frozenset[str]:
        """Return the country and every group it is in."""
        return self._around.get(code, frozenset({code}))

    def name(self, code: str) -> str:
        """Return a country's usual name; a group's is the word it goes by."""
        return self.names[code][0] if code in self.names else code

    def knows(self, word: str) -> bool:
        """Whether ``word`` is a country's code or a group."""
        return word in self.names or word in self.groups or word == "any"

    def find(self, text: str) -> str:
        """Return the code of a country.

        Raises
        ------
        BadRequest
            There is no such country; names the nearest.
        """
        plain = _plain(text)
        if plain in self._codes:
            return self._codes[plain]
        near = difflib.get_close_matches(plain, self._codes, n=1)
        hint = (
            f"did you mean {self.name(self._codes[near[0]])!r}?"
            if near
            else "give its name in English, or its ISO code."
        )
        raise BadRequest(f"country: {text!r} is no country that is known here; {hint}")


def _plain(text: str) -> str:
    """Return a name as people type it: without case, accents and "the"."""
    letters = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()
    return " ".join(plain.replace(".", "").replace("-", " ").replace("'", " ").split()).removeprefix("the ")
