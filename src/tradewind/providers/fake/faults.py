"""What can go wrong, as values with names that are sentences. Arm them with ``FakeWorld.arm``.

``times`` says how often a fault strikes; None is for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

from tradewind.model.instance import Marks, Role

VERBS = frozenset({"offers", "launch", "observe", "terminate", "logs"})


class ProcessKilled(BaseException):
    """Our own process died here. No ``except`` of the code under test may catch it, as none catches a SIGKILL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong."""

    times: int | None = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFault(Fault):
    """Strikes calls of some verbs."""

    verbs: frozenset[str] = VERBS

    def concerns_call(self, verb: str) -> bool:
        """Whether it strikes this verb."""
        return verb in self.verbs


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFault(Fault):
    """Strikes some orders; None is any."""

    instance: str | None = None
    role: Role | None = None
    vm_type: str | None = None

    def concerns(self, marks: Marks, vm_type: str) -> bool:
        """Whether it strikes this order."""
        return (
            self.instance in {None, marks.instance}
            and self.role in {None, marks.role}
            and self.vm_type in {None, vm_type}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DiesBefore(CallFault):
    """Our process dies before the infrastructure hears the call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoesNotAnswer(CallFault):
    """The infrastructure doesn't hear the call: Unavailable."""

    retry_after: timedelta = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverAnswers(CallFault):
    """The infrastructure hears the call and says nothing, until the caller gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttles(CallFault):
    """More than ``calls`` calls within ``per`` are refused: Unavailable, until there is room again."""

    times: int | None = None
    calls: int = 1
    per: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DiesBetweenLaunchAndHandle(OrderFault):
    """The instance exists, and our process dies before it knows its handle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiesAfterHandle(OrderFault):
    """Our process dies when it has been told the handle, and before the launch has returned."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SaysNoCapacity(OrderFault):
    """There is no room for the order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejects(OrderFault):
    """The infrastructure refuses the order in ``words``."""

    words: str = "your account may not launch this"


@dataclass(frozen=True, slots=True, kw_only=True)
class LosesAnswerOfLaunch(OrderFault):
    """The instance exists, and the call ends with Unavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaysPending(OrderFault):
    """The instance waits for ever, unbilled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NeverComesUp(OrderFault):
    """The instance is billed, and Dask never comes up in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListsLate(OrderFault):
    """The instance is missing from the list for ``by`` after its launch, whatever lag was promised."""

    by: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceDies(OrderFault):
    """The instance ends by itself, ``after`` its launch (or after now, where it exists already)."""

    after: timedelta = timedelta(0)
    exit_code: int | None = 1
    detail: str = "its process ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceVanishes(OrderFault):
    """The instance ends, and the infrastructure doesn't remember it."""

    after: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListsTwice(Fault):
    """Every instance stands in the list twice."""

    times: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LosesAnswerOfTerminate(Fault):
    """The instances end, and the call ends with Unavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IgnoresTerminate(Fault):
    """The call succeeds and nothing comes of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentIsDeaf(Fault):
    """The agent on a scheduler doesn't answer, and what was asked of it isn't heard."""

    cluster: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersCling(Fault):
    """Workers that are asked to retire say yes and stay."""

    cluster: str | None = None


F = TypeVar("F", bound=Fault)


class Pile:
    """The faults that are armed, each with how often it may still strike."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._faults: list[Fault] = list(faults)

    def add(self, fault: Fault) -> None:
        """Arm one more."""
        self._faults.append(fault)

    def remove(self, fault: Fault) -> None:
        """Disarm it; absent (or struck out already) is fine."""
        self._faults = [armed for armed in self._faults if replace(armed, times=fault.times) != fault]

    def strike(self, kind: type[F], concerns: Callable[[F], bool] = lambda fault: True) -> F | None:
        """Return the first armed fault of exactly this kind that concerns the case, and count it; or None."""
        for place, fault in enumerate(self._faults):
            if type(fault) is kind and concerns(fault):
                if fault.times is not None:
                    self._faults[place : place + 1] = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                return fault
        return None
