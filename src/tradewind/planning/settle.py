"""What became of one instance, given what the provider says of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus, ObservedInstance
from tradewind.model.offer import Offer

RUNNING, STOPPED = InstanceStatus.RUNNING, InstanceStatus.STOPPED
RANK = {status: rank for rank, status in enumerate(InstanceStatus)}
ON_ITS_WAY = timedelta(seconds=20)
"""An order may still be given, by an engine that is slow or was taken over, until its lease of 15 s has run out."""

LISTED_LATE = timedelta(seconds=10)
"""How much longer than it promised a list is waited for, where it never showed the instance: what is given up too soon
lives on, and is billed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """How the provider was asked."""

    now: datetime
    """When it was asked: what it didn't list then may well exist by now."""
    last: datetime | None
    """When it was asked before, and what is gone now was still there."""
    list_lag: timedelta
    """A launch younger than this may be missing from the list."""
    remembers: timedelta = timedelta(hours=1)
    """How long the list has what ended: after a longer pause it can't tell what lived meanwhile."""
    over_by: datetime | None = None
    """When all must have ended that is forgotten; None is ``now``."""


def settle(instance: Instance, seen: ObservedInstance | None, *, is_up: bool, sighting: Sighting) -> Instance:
    """Return the instance as it is now; the same object where nothing changed.

    Parameters
    ----------
    instance : Instance
        The row, live.
    seen : ObservedInstance or None
        What the provider lists under its mark; None is absent.
    is_up : bool
        Whether Dask counts it in: a worker on the status page, a scheduler that answered.
    sighting : Sighting
        When the provider was asked.
    """
    if seen is None:
        return _absent(instance, sighting)
    if seen.status is STOPPED:
        return _ended(instance, seen, sighting)
    if _is_as_it_was(instance, seen, RUNNING if is_up else seen.status):
        return instance
    there = _later(instance.status, InstanceStatus.RUNNING if is_up else seen.status)
    status = there if instance.wanted else _later(there, InstanceStatus.STOPPING)
    running_at = instance.running_at or (sighting.now if status is InstanceStatus.RUNNING else None)
    # Why it waited is no news of what waits no more; nothing else that was said is forgotten.
    waited = instance.status is InstanceStatus.PENDING and seen.status is not InstanceStatus.PENDING
    detail = seen.detail or ("" if waited else instance.detail)
    if (status, running_at, seen.handle, detail) == (
        instance.status,
        instance.running_at,
        instance.handle,
        instance.detail,
    ):
        return instance
    return replace(
        instance,
        status=status,
        handle=seen.handle,
        # By what it is, not by what we want: what waits in a queue isn't billed because we gave it up.
        started_at=instance.started_at or seen.started_at or (sighting.now if _is_billed(seen, is_up) else None),
        running_at=running_at,
        detail=detail,
    )


def corrected(instance: Instance, seen: ObservedInstance, now: datetime) -> Instance:
    """Return an instance that had ended by its row, with the times and the price that its provider says.

    The same object, where they are equal.

    The row was wrong: a list came late, or an order was given by an engine that had stood still for long. What the
    provider still lists is billed up to ``now``, and to its end once that is known. It stays STOPPED: who looks for
    things that no live row knows, ends it.

    Parameters
    ----------
    instance : Instance
        The row, STOPPED.
    seen : ObservedInstance
        What the provider lists under its mark.
    now : datetime
        When it was asked.
    """
    is_over = seen.status is STOPPED
    started_at = instance.started_at or seen.started_at or (now if seen.status.is_billed else None)
    if started_at is None or (is_over and seen.stopped_at is None):
        return instance
    stopped_at, offer = max(seen.stopped_at or now, started_at), _as_charged(instance, seen)
    if (instance.started_at, instance.stopped_at, instance.offer) == (started_at, stopped_at, offer):
        return instance
    # What its accounts know of its end, they know better than whoever noticed it.
    detail = seen.detail if seen.charged is not None and seen.detail else instance.detail
    return replace(
        instance, handle=seen.handle, started_at=started_at, stopped_at=stopped_at, offer=offer, detail=detail
    )


def abandoned(instance: Instance, now: datetime) -> Instance:
    """Return the instance as one that we want to end; the same object where it is already."""
    return replace(instance, wanted=False, unwanted_at=now) if instance.wanted else instance


def refused(instance: Instance, end: InstanceEnd, words: str, now: datetime) -> Instance:
    """Return the instance as one whose order the provider refused, in its ``words``; it was never billed."""
    return replace(instance, status=InstanceStatus.STOPPED, stopped_at=now, end=end, detail=words)


def _is_as_it_was(instance: Instance, seen: ObservedInstance, status: InstanceStatus) -> bool:
    """Whether nothing changed, for most of the thousands, at each look."""
    return (
        status is instance.status
        and instance.wanted
        and seen.handle == instance.handle
        and (not seen.detail or seen.detail == instance.detail)
    )


def _absent(instance: Instance, sighting: Sighting) -> Instance:
    age = sighting.now - instance.requested_at
    if sighting.now - _last_heard_of(instance, sighting) > sighting.remembers:
        return _forgotten(instance, sighting)
    if instance.handle is None:
        # The order may be on its way, or was never given: the next round gives it again, and the same order twice
        # launches once. Only what isn't wanted any more is written off, after the list had time to show it.
        if instance.wanted or age <= sighting.list_lag + ON_ITS_WAY:
            return instance
        return refused(instance, InstanceEnd.NEVER_LAUNCHED, "it was given up first", sighting.now)
    was_seen = instance.status is not InstanceStatus.REQUESTED
    if age <= sighting.list_lag + (timedelta(0) if was_seen else LISTED_LATE):
        return instance
    # Nobody saw it after the last sighting, so nobody is billed for it.
    stopped_at = max(sighting.last or sighting.now, instance.started_at or instance.requested_at)
    return replace(
        instance,
        status=InstanceStatus.STOPPED,
        stopped_at=stopped_at,
        end=InstanceEnd.VANISHED if instance.wanted else InstanceEnd.ASKED,
        detail=instance.detail or "its provider doesn't list it any more",
    )


def _last_heard_of(instance: Instance, sighting: Sighting) -> datetime:
    return max(sighting.last or instance.requested_at, instance.requested_at)


def _forgotten(instance: Instance, sighting: Sighting) -> Instance:
    """Return an instance that lived and ended, if ever it lived, while nobody looked.

    Its true bill can't be had any more, so it's the most that it may have been: less would break a limit.
    """
    heard = _last_heard_of(instance, sighting)
    started_at = instance.started_at or instance.requested_at
    over_by = max(heard, sighting.over_by or sighting.now)
    words = f"nobody looked for {_span(sighting.now - heard)}, and its provider doesn't list it any more"
    return replace(
        instance,
        status=InstanceStatus.STOPPED,
        started_at=started_at,
        stopped_at=max(over_by, started_at),
        end=InstanceEnd.VANISHED if instance.wanted else InstanceEnd.ASKED,
        detail=f"{words}; it's billed for the {_span(over_by - heard)} that it may have lived since",
    )


def _span(time: timedelta) -> str:
    return str(timedelta(seconds=round(time.total_seconds())))


def _ended(instance: Instance, seen: ObservedInstance, sighting: Sighting) -> Instance:
    started_at = instance.started_at or seen.started_at
    stopped_at = seen.stopped_at or sighting.last or sighting.now
    if started_at is not None:
        stopped_at = max(stopped_at, started_at)
    return replace(
        instance,
        status=InstanceStatus.STOPPED,
        handle=seen.handle,
        started_at=started_at,
        stopped_at=stopped_at,
        exit_code=seen.exit_code,
        end=_end_of(instance, seen),
        detail=seen.detail or instance.detail,
        offer=_as_charged(instance, seen),
    )


def _as_charged(instance: Instance, seen: ObservedInstance) -> Offer:
    """Return its offer, at the price that the accounts say in its stead."""
    if seen.charged is None or seen.charged == instance.offer.price:
        return instance.offer
    return replace(instance.offer, price=seen.charged)


def _end_of(instance: Instance, seen: ObservedInstance) -> InstanceEnd:
    if not instance.wanted:
        return InstanceEnd.ASKED
    return InstanceEnd.REJECTED if seen.refused else InstanceEnd.DIED


def _is_billed(seen: ObservedInstance, is_up: bool) -> bool:
    return is_up or seen.status.is_billed


def _later(one: InstanceStatus, other: InstanceStatus) -> InstanceStatus:
    return one if RANK[one] >= RANK[other] else other
