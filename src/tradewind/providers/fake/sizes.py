"""What the fake infrastructure has to let, and which of it fits a need."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from tradewind.errors import BadRequest
from tradewind.model.environment import Target
from tradewind.model.money import Price
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Need, Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """One kind of machine in one region."""

    vm_type: str
    resources: Resources
    price: Price | None = None
    """On demand; None is unpriced."""
    spot_price: Price | None = None
    """None: not to be had as spot."""
    region: str = "fake-north"
    capacity: int | None = None
    """How many may exist at a time; None is no limit."""
    gpu_type: str | None = None
    target: Target | None = None
    """What runs there; None: nobody knows."""


def _size(
    vm_type: str,
    cpus: int,
    memory_gib: int,
    price: str | None,
    spot: str | None = None,
    *,
    gpus: int = 0,
    region: str = "fake-north",
) -> Size:
    return Size(
        vm_type=vm_type,
        resources=Resources(cpus=cpus, memory=memory_gib * GIB, gpus=gpus, disk=100 * GIB),
        price=None if price is None else Price(per_hour=Decimal(price)),
        spot_price=None if spot is None else Price(per_hour=Decimal(spot)),
        region=region,
        gpu_type="F1" if gpus else None,
    )


SIZES: tuple[Size, ...] = (
    _size("fake.small", 2, 8, "0.096", "0.031"),
    _size("fake.medium", 4, 16, "0.192", "0.062"),
    _size("fake.large", 8, 32, "0.384", "0.135"),
    _size("fake.memory", 4, 64, "0.336", "0.101"),
    _size("fake.gpu", 8, 32, "1.204", "0.460", gpus=1),
    _size("fake.barter", 4, 16, None),
    _size("fake.small", 2, 8, "0.112", "0.028", region="fake-south"),
    _size("fake.large", 8, 32, "0.448", region="fake-south"),
)
"""A small catalogue: two regions, one size with a GPU, one that nobody put a price on, one without spot."""


def offers(sizes: Sequence[Size], need: Need, *, spot: bool, region: str | None) -> tuple[Offer, ...]:
    """Return what of ``sizes`` satisfies ``need``, cheapest first, unpriced last.

    Parameters
    ----------
    sizes : sequence of Size
        The catalogue; the region of its first size is the default one.
    need : Need
        What one role asks for.
    spot : bool
        Whether only what may be taken back is wanted; empty where nothing that fits is let so.
    region : str or None
        None is the default region.

    Raises
    ------
    BadRequest
        Nothing here can ever satisfy it: an unknown region or size, or more than the largest has.
    """
    regions = list(dict.fromkeys(size.region for size in sizes))
    region = region or regions[0]
    if region not in regions:
        raise BadRequest(_unknown("region", region, regions))
    here = [size for size in sizes if size.region == region]
    names = [size.vm_type for size in here]
    for vm_type in need.vm_types:
        if vm_type not in names:
            raise BadRequest(_unknown(f"size in {region}", vm_type, names))
    fitting = [size for size in here if fits(size, need)]
    if not fitting:
        raise BadRequest(_too_much(here, region))
    priced = [(size, size.spot_price if spot else size.price) for size in fitting]
    found = [
        Offer(
            provider="fake",
            vm_type=size.vm_type,
            resources=size.resources,
            price=price,
            region=size.region,
            spot=spot,
            target=size.target,
            note="a machine that exists in memory only",
        )
        for size, price in priced
        if price is not None or not spot
    ]
    return tuple(sorted(found, key=_cheapest_first))


def fits(size: Size, need: Need) -> bool:
    """Return whether a machine of ``size`` satisfies ``need``."""
    has = size.resources
    if need.disk is not None and (has.disk is None or has.disk < need.disk):
        return False
    if need.vm_types:
        return size.vm_type in need.vm_types
    if need.gpu_type is not None and size.gpu_type != need.gpu_type:
        return False
    # Who didn't ask for a GPU mustn't pay for one.
    enough_gpus = has.gpus >= need.gpus if need.gpus else has.gpus == 0 or need.gpu_type is not None
    return enough_gpus and need.cpus.holds(has.cpus) and need.memory.holds(has.memory)


def _cheapest_first(offer: Offer) -> tuple[bool, Decimal, str]:
    return (offer.price is None, offer.price.per_hour if offer.price else Decimal(0), offer.vm_type)


def _unknown(what: str, word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"fake has no {what} named {word!r}; {hint}known are: {', '.join(dict.fromkeys(known))}."


def _too_much(here: Sequence[Size], region: str) -> str:
    cpus = max(size.resources.cpus for size in here)
    memory = max(size.resources.memory for size in here)
    gpus = max(size.resources.gpus for size in here)
    sizes = ", ".join(f"{s.vm_type} ({s.resources.cpus:g} cores, {s.resources.memory / GIB:g} GiB)" for s in here)
    return (
        f"no size of fake in {region} fits: the most is {cpus:g} cores, {memory / GIB:g} GiB of memory "
        f"and {gpus} GPUs, not all in one. Ask for less, or for one of {sizes}."
    )
