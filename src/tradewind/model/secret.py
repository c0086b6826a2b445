"""A value that must not be seen."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secret:
    """Text whose repr is ``***``, so that no log, traceback or page shows it by accident."""

    _value: str = field(repr=False)

    def reveal(self) -> str:
        """Return the text itself; call it only where the value is used."""
        return self._value

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__
