"""Whether a cluster must end, and what to say before it does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tradewind.model.cluster import Cluster, StopReason
from tradewind.model.instance import Instance, InstanceEnd, InstanceStatus, Role
from tradewind.model.status import StatusPage
from tradewind.model.usage import Usage
from tradewind.planning import budget, scale
from tradewind.planning.draws import Draw
from tradewind.planning.reservations import needed_ahead

DRAINED = 1
"""Workers that are left to a cluster that winds down: results of the others have moved there."""
WINDING_DOWN = 101
"""Follows the steps of a cluster's own budget, in per cent, in what was said already."""
UNANSWERED = timedelta(minutes=5)
"""A scheduler may be deaf for minutes while it takes in a huge graph; only after this it counts as lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the rules look at."""

    cluster: Cluster
    instances: tuple[Instance, ...]
    page: StatusPage | None
    usages: tuple[Usage, ...]
    draws: tuple[Draw, ...] = ()
    """Of all that limits what it may spend."""
    ends_within: timedelta = timedelta(0)
    """How long its provider may bill what was told to end."""
    queues: bool = False
    """Whether what was launched may wait for long without anything being wrong."""
    schedulers: tuple[Instance, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "schedulers", tuple(i for i in self.instances if i.role is Role.SCHEDULER))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """End it, and why."""

    reason: StopReason
    detail: str
    """A sentence for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Warning:
    """Something its users should hear before it happens."""

    kind: str
    message: str
    idle_warned_at: datetime | None
    """What to remember in the cluster, so that it is said once."""
    budget_warned: int


def verdict(case: Case, now: datetime) -> Verdict | None:
    """Return why the cluster must end, by the first rule that says so; None while it may live."""
    return next((found for rule in RULES if (found := rule(case, now)) is not None), None)


def warning(case: Case, now: datetime) -> Warning | None:
    """Return what to say now, or None."""
    return next((found for rule in WARNINGS if (found := rule(case, now)) is not None), None)


def asked(case: Case, now: datetime) -> Verdict | None:
    """Somebody who may closed it. First, since a person's word is the reason they look for."""
    intent = case.cluster.intent
    if not intent.stop:
        return None
    return Verdict(reason=intent.stop_reason, detail=intent.stop_detail or "it was closed")


def expired(case: Case, now: datetime) -> Verdict | None:
    """Its own maximum age, or the age that no cluster passes."""
    cluster = case.cluster
    if cluster.expires_at is None or now < cluster.expires_at:
        return None
    total = cluster.spec.lifetimes.total
    oldest = f"the most that one lives without a cluster_timeout, {cluster.expires_at - cluster.created_at}"
    return Verdict(
        reason=StopReason.EXPIRED,
        detail=f"it reached its cluster_timeout of {total}" if total is not None else f"it reached {oldest}",
    )


def over_budget(case: Case, now: datetime) -> Verdict | None:
    """Spent plus one more round at this burn, and the end, would pass a limit: the next look would be too late."""
    for draw in case.draws:
        # By that moment: at its last microcent a cluster has nothing to go on with.
        if draw.lasts(now) <= needed_ahead(case.ends_within):
            words = f"it spent {draw.spent_money} of {draw.fund.name}"
            if draw.fund.budget_id is not None:
                words = f"nothing is left of {draw.fund.name}; this cluster spent {draw.spent_money} of it"
            return Verdict(reason=StopReason.BUDGET, detail=words)
    return None


def wound_down(case: Case, now: datetime) -> Verdict | None:
    """Its time to hand over is up, or nothing is in it that somebody would miss."""
    intent, page = case.cluster.intent, case.page
    if intent.ends_by is None:
        return None
    if now < intent.ends_by and (page is None or page.tasks_running or (page.held_results and page.clients)):
        return None
    return Verdict(reason=StopReason.BUDGET, detail=intent.ends_why)


def refused(case: Case, now: datetime) -> Verdict | None:
    """The infrastructure refused the scheduler, or every worker before one ever ran: waiting won't help."""
    ever_ran = any(i.running_at for i in case.instances if i.role is Role.WORKER)
    for instance in reversed(case.instances):
        if instance.end is InstanceEnd.REJECTED and (instance.role is Role.SCHEDULER or not ever_ran):
            return Verdict(
                reason=StopReason.REJECTED,
                detail=f"{case.cluster.spec.provider} refused to launch a {instance.role}: {instance.detail}",
            )
    return None


def scheduler_gone(case: Case, now: datetime) -> Verdict | None:
    """A cluster is its scheduler: what it knew can't be had again, so its workers are of no use."""
    if any(i.status.is_live for i in case.schedulers):
        return None
    ended = [i for i in case.schedulers if i.end in {InstanceEnd.DIED, InstanceEnd.VANISHED}]
    if not ended:
        return None
    intent, last = case.cluster.intent, ended[-1]
    if intent.ends_by is not None and last.exit_code == 0:
        # Nobody looked when its time was up, so it ended by itself, as it does when its money is spent.
        return Verdict(reason=StopReason.BUDGET, detail=intent.ends_why)
    words = last.detail or f"exit code {last.exit_code}"
    if case.cluster.started_at is None:
        return Verdict(reason=StopReason.ERROR, detail=f"its scheduler ended before it answered: {words}")
    return Verdict(reason=StopReason.LOST, detail=f"its scheduler is gone: {words}")


def never_started(case: Case, now: datetime) -> Verdict | None:
    """Waiting costs money where instances are billed already."""
    limit, since = case.cluster.spec.lifetimes.start, case.cluster.created_at
    if case.queues:
        # In a queue it waits as long as it has to, and costs nothing: its time begins when it has a place to run.
        began = [i.started_at for i in case.schedulers if i.status.is_live and i.started_at is not None]
        if not began and any(i.status is InstanceStatus.PENDING for i in case.schedulers):
            return None
        since = max([since, *began])
    if case.cluster.started_at is not None or now < since + limit:
        return None
    waiting = next((i.detail for i in case.schedulers if i.status.is_live and i.detail), "no word from its provider")
    return Verdict(reason=StopReason.START_TIMEOUT, detail=f"its scheduler didn't answer within {limit}: {waiting}")


def keeps_failing(case: Case, now: datetime) -> Verdict | None:
    """Workers that all end before they run will go on doing so, and each try may cost."""
    if not scale.gives_up(case.cluster.failed_launches, case.cluster.scale.wanted):
        return None
    words = next(
        (i.detail for i in reversed(case.instances) if i.end is InstanceEnd.DIED and i.detail), "no reason given"
    )
    return Verdict(
        reason=StopReason.ERROR,
        detail=f"{case.cluster.failed_launches} instances in a row ended before they were up; the last: {words}",
    )


def unanswered(case: Case, now: datetime) -> Verdict | None:
    """It exists and is billed, and is of no use."""
    since = case.cluster.page_failed_at
    if since is None or case.cluster.started_at is None or now < since + UNANSWERED:
        return None
    return Verdict(reason=StopReason.LOST, detail=f"its scheduler hasn't answered for {UNANSWERED}")


def idle(case: Case, now: datetime) -> Verdict | None:
    """No task for long. Never without a warning while a connected client holds results that would be lost."""
    limit = case.cluster.spec.lifetimes.idle
    if case.page is None or limit is None or case.page.idle_seconds < limit.total_seconds():
        return None
    warned_at = case.cluster.idle_warned_at
    if _holds_results(case.page) and (warned_at is None or now < warned_at + limit / 2):
        return None
    return Verdict(reason=StopReason.IDLE, detail=f"no task ran for its idle_timeout of {limit}")


def no_client(case: Case, now: datetime) -> Verdict | None:
    """Nobody is there to see a result."""
    limit = case.cluster.spec.lifetimes.no_client
    if case.page is None or limit is None or case.page.no_client_seconds < limit.total_seconds():
        return None
    return Verdict(reason=StopReason.NO_CLIENT, detail=f"nobody was connected for its no_client_timeout of {limit}")


def idle_soon(case: Case, now: datetime) -> Warning | None:
    """Half of the idle time is over, and results would be lost with the cluster."""
    limit = case.cluster.spec.lifetimes.idle
    if case.page is None or limit is None or case.cluster.idle_warned_at is not None:
        return None
    if case.page.idle_seconds < limit.total_seconds() / 2 or not _holds_results(case.page):
        return None
    so_far = timedelta(seconds=int(case.page.idle_seconds))
    left = max(limit / 2, limit - so_far)
    return Warning(
        kind="cluster.idle_warned",
        message=(
            f"Cluster {case.cluster.name!r} has been idle for {so_far} and will stop in {left}. "
            f"{case.page.held_results} results that you hold are in its memory and will be lost: "
            "compute or save them, or submit any task to keep it."
        ),
        idle_warned_at=now,
        budget_warned=case.cluster.budget_warned,
    )


def budget_step(case: Case, now: datetime) -> Warning | None:
    """A soft step of its budget was passed."""
    limit = case.cluster.spec.budget
    if limit is None:
        return None
    state = budget.budget_state(limit, case.usages, now)
    step = budget.step(state)
    if step <= case.cluster.budget_warned:
        return None
    return Warning(
        kind="cluster.budget_warned",
        message=f"Cluster {case.cluster.name!r} has spent {state.spent}, {step} % of its budget of {limit}.",
        idle_warned_at=case.cluster.idle_warned_at,
        budget_warned=step,
    )


def winding_down(case: Case, now: datetime) -> Warning | None:
    """The money of a budget that others share runs out, and it's this cluster's turn to end."""
    intent = case.cluster.intent
    if intent.ends_by is None or case.cluster.budget_warned >= WINDING_DOWN:
        return None
    held = case.page.held_results if case.page is not None else 0
    results = f" {held} results are in its memory: save what you need now." if held else " Save what you need now."
    seconds = max(0, round((intent.ends_by - now).total_seconds()))
    return Warning(
        kind="budget.winding_down",
        message=f"Cluster {case.cluster.name!r} ends in {seconds} s: {intent.ends_why}.{results}",
        idle_warned_at=case.cluster.idle_warned_at,
        budget_warned=WINDING_DOWN,
    )


def _holds_results(page: StatusPage) -> bool:
    return page.held_results > 0 and page.clients > 0


Rule = Callable[[Case, datetime], Verdict | None]

RULES: tuple[Rule, ...] = (
    asked,
    expired,
    over_budget,
    wound_down,
    refused,
    scheduler_gone,
    never_started,
    keeps_failing,
    unanswered,
    idle,
    no_client,
)
"""The first that speaks gives the reason; people before limits, limits before faults, faults before neglect."""

WARNINGS: tuple[Callable[[Case, datetime], Warning | None], ...] = (winding_down, budget_step, idle_soon)
