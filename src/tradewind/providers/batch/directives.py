"""Options that a submission sets itself and nobody else may: by them jobs are found, told apart and ended. Pure."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

FOUND = "the queue's list tells its jobs from others' by it"
NAMED = "a cluster's jobs are ended by their name, which is the cluster's"
COUNTED = "how many jobs there are follows from the workers that are asked for"
LOGGED = "`tradewind cluster logs NAME` shows what jobs write, and finds it by it"
ONCE = "a job that runs again has no order any more; what is wanted still, is ordered anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """One option that is ours."""

    pattern: str
    """What a word that sets it looks like, from its beginning; or that word and the next, with a blank between."""
    why: str
    """What it would undo."""


def words_of(directive: str) -> list[str]:
    """Return the options and values of one line, as a shell reads them."""
    try:
        return shlex.split(directive)
    except ValueError:  # a quote that nothing closes: the system itself will say so
        return directive.split()


def undone(directives: Iterable[str], words: Callable[[str], Sequence[str]], own: Sequence[Own]) -> tuple[str, str]:
    """Return the first directive that sets an option of ours, and what that would undo; empty where none does.

    Parameters
    ----------
    directives : iterable of str
        Lines of the settings.
    words : callable
        Returns what of one may name an option.
    own : sequence of Own
        What is ours.
    """
    for directive in directives:
        for word, after in pairwise([*words(directive), ""]):
            for one in own:
                if re.match(one.pattern, word) or re.match(one.pattern, f"{word} {after}"):
                    return directive, one.why
    return "", ""
