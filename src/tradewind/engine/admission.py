"""Whether a cluster can be had as asked, said before anything is started or spent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from tradewind.engine.rounds.catalogue import Catalogue
from tradewind.errors import BadRequest, OverBudget
from tradewind.model.budget import Budget, Reservation
from tradewind.model.cluster import Cluster, ClusterSpec
from tradewind.model.environment import PackageChoice
from tradewind.model.instance import Role
from tradewind.model.money import Money, Price
from tradewind.model.offer import SpotPolicy
from tradewind.model.usage import Cost
from tradewind.model.views import DryRun, PlannedInstances
from tradewind.planning import budget, limits, meter
from tradewind.planning.accounts import AccountState
from tradewind.planning.choose import fill, room_of
from tradewind.planning.funds import AFFORDABLE, WINDING
from tradewind.providers.base import Provider
from tradewind.store.spending.money import Treasury


async def admit(spec: ClusterSpec, provider: Provider, catalogue: Catalogue) -> DryRun:
    """Return what would be launched for ``spec``.

    Raises
    ------
    BadRequest
        It can't be had: names the keyword, the fact and what to write instead.
    """
    notes = [*honoured(spec, provider)]
    provider.check(spec)
    choices = await catalogue.choices(spec, spec.scaling)
    lines: list[PlannedInstances] = []
    for role, count in ((Role.SCHEDULER, 1), (Role.WORKER, spec.scaling.initial)):
        found = choices[role]
        if not found:
            raise BadRequest(
                f"provider {spec.provider!r} has nothing that fits what was asked for the {role}: "
                "ask for less cpu or memory, or leave them out."
            )
        room = room_of(found)
        if role is Role.WORKER and spec.scaling.is_adaptive and room is not None and room < spec.scaling.maximum:
            notes.append(f"there is room for {room} such workers, so adaptive scaling stays at or below that.")
            count = max(spec.scaling.minimum, min(count, room))
        lines += [
            PlannedInstances(role=role, count=some, offer=choice.offer, why=choice.why)
            for choice, some in fill(found, count) or ((found[0], 0),)
        ]
    cost_per_hour = meter.cost_per_hour((line.count, line.offer) for line in lines)
    if spec.budget is not None:
        _affordable(spec.budget, cost_per_hour)
        if not cost_per_hour.money:
            notes.append(f"all of this is free, so the budget of {spec.budget} is never touched.")
    _one_platform(lines)
    lines = [line for line in lines if line.count]
    told = dict.fromkeys(line.offer.note for line in lines if line.offer.note)
    return DryRun(instances=tuple(lines), cost_per_hour=cost_per_hour, notes=(*notes, *told))


async def foretold(planned: DryRun, provider: Provider) -> DryRun:
    """Return a dry run with what its infrastructure says of when it would start, and of what may still be spent."""
    standing, *said = await asyncio.gather(
        provider.standing(), *(provider.outlook(line.offer, line.count) for line in planned.instances)
    )
    words = [f"{line.role}: {outlook}" for line, outlook in zip(planned.instances, said, strict=True) if outlook]
    if standing:
        words.append(f"{provider.name}: {standing}.")
    return replace(planned, notes=(*planned.notes, *words))


async def set_aside(planned: DryRun, cluster: Cluster, treasury: Treasury, now: datetime) -> tuple[Reservation, ...]:
    """Return what a new cluster shall hold of each budget, so that it can be of use for a moment at least.

    Raises
    ------
    OverBudget
        A budget can't pay for it: names the budget, what is left of it, what this needs, and what to do.
    """
    opening = []
    for limit in await treasury.budgets(cluster.spec.workspace):
        if not limits.applies(limit, cluster):
            continue
        state = await treasury.state(limit, now)
        if limit.is_hard and (refusal := _refusal(planned, limit, state, now)) is not None:
            raise OverBudget(f"{refusal}.")
        per_hour = _per_hour(planned, limit.limit.currency)
        if limits.is_open(limit, now) and per_hour:
            opening.append(
                Reservation(
                    budget_id=limit.id,
                    starts_at=limits.period_at(limit, now)[0],
                    cluster_id=cluster.id,
                    reserved=Price(per_hour=per_hour, currency=limit.limit.currency).cost_of(AFFORDABLE),
                    spent=Money(amount=Decimal(0), currency=limit.limit.currency),
                    burn_per_hour=Money(amount=per_hour, currency=limit.limit.currency),
                    at=now,
                )
            )
    return tuple(opening)


def _refusal(planned: DryRun, limit: Budget, state: AccountState | None, now: datetime) -> str | None:
    name, currency = limits.title(limit), limit.limit.currency
    if all(line.offer.price is not None and line.offer.price.is_free for line in planned.instances):
        return None
    if not limits.is_open(limit, now):
        starts_at, ends_at = limits.period_at(limit, now)
        word = f"begins on {starts_at:%Y-%m-%d}" if now < starts_at else f"ended on {ends_at:%Y-%m-%d}"
        return f"{name} {word}, and nothing may be spent outside of it: ask an admin to change it"
    for line in planned.instances:
        price = line.offer.price
        if price is None:
            return f"{name} can't be held on a {line.offer.vm_type}, which has no price: take another size or provider"
        if not price.is_free and price.currency != currency:
            return (
                f"{name} is in {currency} and this costs {price}, and exchange rates are not Tradewind's business: "
                f"ask an admin for a budget in {price.currency}"
            )
    per_hour = _per_hour(planned, currency)
    stands = state.state(now) if state is not None else None
    left = stands.left if stands is not None else limit.limit
    running = stands.burn_per_hour.amount if stands is not None else Decimal(0)
    needed = Price(per_hour=per_hour + running, currency=currency).cost_of(AFFORDABLE + WINDING)
    if needed.amount <= left.amount:
        return None
    beside = f" beside the {Money(amount=running, currency=currency)} per hour that runs already" if running else ""
    return (
        f"{name} doesn't pay for this: {left} is left, and two minutes of it{beside} need {needed}; "
        "ask for fewer or smaller workers, wait until others stop, or ask an admin to raise it"
    )


def _per_hour(planned: DryRun, currency: str) -> Decimal:
    return next((money.amount for money in planned.cost_per_hour.money if money.currency == currency), Decimal(0))


def honoured(spec: ClusterSpec, provider: Provider | type[Provider]) -> tuple[str, ...]:
    """Return a note for each wish that means nothing at this provider; raise for what would change the result.

    Moving a script from a cloud to a laptop changes ``provider`` alone, so a region is let pass with a note; other
    software, other hardware, or a price that was counted on, are not.
    """
    can, name = provider.capabilities, provider.name
    notes = []
    if spec.region is not None and not can.regions:
        notes.append(f"region={spec.region!r} means nothing on provider {name!r}, which has one place only.")
    if spec.spot_policy is SpotPolicy.SPOT_WITH_FALLBACK and not can.spot:
        notes.append(f"provider {name!r} has no spot instances, so spot_with_fallback falls back from the start.")
    if spec.spot_policy is SpotPolicy.SPOT and not can.spot:
        raise BadRequest(
            f"provider {name!r} has no spot instances: write spot_policy='spot_with_fallback', or leave it out."
        )
    if spec.arm and not can.arm:
        raise BadRequest(f"provider {name!r} can't choose ARM machines: leave out arm=True.")
    if (spec.worker.gpus or spec.scheduler.gpus) and not can.gpus:
        raise BadRequest(
            f"provider {name!r} has no GPUs: leave out worker_gpu and scheduler_gpu, or take another provider."
        )
    if (spec.worker.vm_types or spec.scheduler.vm_types) and not can.vm_types:
        raise BadRequest(
            f"provider {name!r} has no machine types: write worker_cpu and worker_memory in place of vm types."
        )
    if spec.software is not None and not can.software:
        raise BadRequest(
            f"provider {name!r} runs the Python you are in, so software={spec.software!r} can't be honoured: "
            "leave it out, or start Python from that environment."
        )
    if spec.packages != PackageChoice() and can.same_file_system:
        notes.append(f"package_sync_… means nothing on provider {name!r}, which runs the Python you are in.")
    return tuple(notes)


def _one_platform(lines: Sequence[PlannedInstances]) -> None:
    """Raise where scheduler and workers would be of two platforms: a cluster has one environment."""
    platforms = {line.offer.target.platform: line.role for line in lines if line.offer.target is not None}
    if len(platforms) > 1:
        which = " and ".join(f"the {role} on {platform}" for platform, role in sorted(platforms.items()))
        raise BadRequest(
            f"a cluster runs the same software everywhere, and this would have {which}: name other machine types "
            "(scheduler_vm_types, worker_vm_types), or write arm=True for ARM alone."
        )


def _affordable(limit: Money, cost_per_hour: Cost) -> None:
    nothing = Money(amount=Decimal(0), currency=limit.currency)
    if cost_per_hour.unpriced_seconds:
        planned: list[Money | None] = [None]
    else:
        planned = [*cost_per_hour.money] or [nothing]
    for per_hour in planned:
        refusal = budget.may_start(limit, nothing, per_hour, AFFORDABLE)
        if refusal is not None:
            raise OverBudget(f"{refusal}.")
