"""How far a host's clock is from ours."""

from __future__ import annotations

STEADY_S = 1.5
"""A difference that moved by less is the same: else times that were told once would change at each look."""


class Skew:
    """What is known of one host's clock, from when it was asked, what it said, and when that was heard."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """How much later it is there; 0 where the difference is too small to be told from the way of the answer."""
        self.is_known = False

    def heard(self, sent_at: float, said: float, heard_at: float) -> None:
        """Take in one answer; all three are POSIX times, ``said`` by the host's clock."""
        unsure = (heard_at - sent_at) / 2
        difference = said - (sent_at + heard_at) / 2
        if not self.is_known or abs(difference - self.seconds) > STEADY_S + unsure:
            self.seconds = 0.0 if abs(difference) <= STEADY_S + unsure else difference
            self.is_known = True
