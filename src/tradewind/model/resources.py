"""What a process has, and what a user needs."""

from dataclasses import dataclass

GIB = 1024**3


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one instance has."""

    cpus: float
    """Cores, as the infrastructure counts them; also the number of Dask threads."""
    memory: int
    """Bytes."""
    gpus: int = 0
    disk: int | None = None
    """Bytes of scratch; None where nobody said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """From ``minimum`` to ``maximum``, both included; None is open."""

    minimum: float | None = None
    maximum: float | None = None

    def holds(self, value: float) -> bool:
        """Whether ``value`` lies inside."""
        return (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)


ANY = Range()


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one role (scheduler or worker) asks for; providers answer with offers."""

    cpus: Range = ANY
    memory: Range = ANY
    """Bytes."""
    gpus: int = 0
    gpu_type: str | None = None
    vm_types: tuple[str, ...] = ()
    """In order of preference; excludes ``cpus`` and ``memory``."""
    disk: int | None = None
    count: int = 1
    """How many of these at most at the same time: a provider with fixed room divides it by this."""
    least: int | None = None
    """How many must fit at the same time, where fewer than ``count`` will do; None is ``count``."""
    beside: bool = False
    """It runs beside others and sets nothing aside, as a scheduler does: a provider that divides fixed room gives it
    the room without taking it from the others, and without a price of its own."""
