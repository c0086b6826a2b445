"""Whether a cluster can be had as asked, said before anything is started or spent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from tradewind.engine.catalogue import Catalogue
from tradewind.errors import BadRequest
from tradewind.model.cluster import ClusterSpec
from tradewind.model.instance import Role
from tradewind.model.money import Money, Price
from tradewind.model.offer import SpotPolicy
from tradewind.model.usage import Cost
from tradewind.model.views import DryRun, PlannedInstances
from tradewind.planning import budget
from tradewind.providers.base import Provider

AFFORDABLE = timedelta(minutes=1)
"""A cluster is refused whose budget wouldn't last this long: it would stop before it was of use."""
HOUR = timedelta(hours=1)


async def admit(spec: ClusterSpec, provider: Provider, catalogue: Catalogue) -> DryRun:
    """Return what would be launched for ``spec``.

    Raises
    ------
    BadRequest
        It can't be had: names the keyword, the fact and what to write instead.
    """
    notes = honoured(spec, provider)
    provider.check(spec)
    choices = await catalogue.choices(spec)
    lines: list[PlannedInstances] = []
    for role, count in ((Role.SCHEDULER, 1), (Role.WORKER, spec.scaling.initial)):
        found = choices[role]
        if not found:
            raise BadRequest(
                f"provider {spec.provider!r} has nothing that fits what was asked for the {role}: "
                "ask for less cpu or memory, or leave them out."
            )
        lines.append(PlannedInstances(role=role, count=count, offer=found[0].offer, why=found[0].why))
    if spec.budget is not None:
        _affordable(spec.budget, lines)
    lines = [line for line in lines if line.count]
    told = dict.fromkeys(line.offer.note for line in lines if line.offer.note)
    return DryRun(instances=tuple(lines), cost_per_hour=_hour(lines), notes=(*notes, *told))


def honoured(spec: ClusterSpec, provider: Provider) -> tuple[str, ...]:
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
    return tuple(notes)


def _affordable(limit: Money, lines: list[PlannedInstances]) -> None:
    prices = [(line.offer.price, line.count) for line in lines]
    if any(price is None for price, _ in prices):
        raise BadRequest(
            f"a budget of {limit} can't be held on instances without a price: "
            "set the provider's price, or leave out budget."
        )
    priced = [(price, count) for price, count in prices if price is not None and not price.is_free]
    if strange := {price.currency for price, _ in priced} - {limit.currency}:
        raise BadRequest(
            f"the budget is in {limit.currency}, but prices are in {', '.join(sorted(strange))}: give it in that."
        )
    per_hour = Money(amount=sum((p.per_hour * n for p, n in priced), Decimal(0)), currency=limit.currency)
    nothing = Money(amount=Decimal(0), currency=limit.currency)
    refusal = budget.may_start(limit, nothing, per_hour, AFFORDABLE)
    if refusal is not None:
        raise BadRequest(refusal)


def _hour(lines: list[PlannedInstances]) -> Cost:
    by_currency: dict[str, Money] = {}
    free = unpriced = seconds = cpu = memory = 0.0
    for line in lines:
        span = HOUR.total_seconds() * line.count
        seconds += span
        cpu += span * line.offer.resources.cpus
        memory += span * line.offer.resources.memory
        price: Price | None = line.offer.price
        if price is None:
            unpriced += span
        elif price.is_free:
            free += span
        else:
            cost = price.cost_of(HOUR * line.count)
            by_currency[price.currency] = by_currency[price.currency] + cost if price.currency in by_currency else cost
    return Cost(
        money=tuple(by_currency[currency] for currency in sorted(by_currency)),
        instance_seconds=seconds,
        cpu_seconds=cpu,
        memory_byte_seconds=memory,
        free_seconds=free,
        unpriced_seconds=unpriced,
    )
