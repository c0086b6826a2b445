"""Which offer to take first, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tradewind.model.offer import Offer, SpotPolicy
from tradewind.model.resources import GIB, Need, Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """An offer in its place among the others."""

    offer: Offer
    why: str
    """Why it stands there, for a person; no full stop."""


def choose(
    offers: Iterable[Offer], need: Need, spot_policy: SpotPolicy, refused: Container[Offer] = ()
) -> tuple[Choice, ...]:
    """Return what may be taken, in the order to try it; empty where nothing may.

    Spot goes before on-demand where both are allowed, then the user's own order of ``vm_types``, then the price
    (the unpriced last), then the name. What costs nothing, or nobody knows what, is taken as small as will do.

    Parameters
    ----------
    offers : iterable of Offer
        What a provider answered to ``need``, spot and on-demand together; it may name an offer twice.
    need : Need
        What was asked for.
    spot_policy : SpotPolicy
        Whether the infrastructure may take instances back.
    refused : container of Offer, optional
        What had no capacity a moment ago.
    """
    fitting = [offer for offer in dict.fromkeys(offers) if _is_allowed(offer, need, spot_policy)]
    ranked = sorted(
        (offer for offer in fitting if offer not in refused),
        key=lambda offer: (not offer.spot, *_rank(offer, need)),
    )
    busy = len(fitting) - len(ranked)
    spot, on_demand = ([offer for offer in ranked if offer.spot is is_spot] for is_spot in (True, False))
    return tuple(
        Choice(offer=offer, why=_why(place, pool, on_demand if spot else (), need, busy))
        for pool in (spot, on_demand)
        for place, offer in enumerate(pool)
    )


def fill(choices: Sequence[Choice], count: int, there: Iterable[Offer] = ()) -> tuple[tuple[Choice, int], ...]:
    """Return how many to take of which: of the best as many as there is room for, then of the next.

    What there is room for nowhere is asked of the best all the same: its infrastructure knows better, and says so.

    Parameters
    ----------
    choices : sequence of Choice
        Best first; at least one.
    count : int
        How many there shall be besides.
    there : iterable of Offer
        What exists or is ordered already, once for each; it takes of the room.
    """
    if choices[0].offer.room is None:
        return ((choices[0], count),)
    used = Counter(there)
    taken: list[tuple[Choice, int]] = []
    for choice in choices:
        room = choice.offer.room
        fits = count if room is None else min(count, max(0, room - used[choice.offer]))
        if fits:
            taken.append((choice, fits))
            count -= fits
    return tuple(taken) if not count else (*taken, (choices[0], count))


def room_of(choices: Iterable[Choice]) -> int | None:
    """Return how many can exist at the same time, of all choices together; None where nobody knows."""
    rooms = [choice.offer.room for choice in choices]
    known = [room for room in rooms if room is not None]
    return sum(known) if known and len(known) == len(rooms) else None


def of_one_platform(offers: Iterable[Offer], *, arm: bool) -> tuple[Offer, ...]:
    """Return the offers that one environment can be made for: those of x86, or with ``arm`` those of ARM.

    Where nothing of the wanted kind is offered, all that is stays, so that a laboratory of ARM machines needs no word;
    of what nobody knows the platform, either may be.
    """
    offers = tuple(offers)
    known = sorted({offer.target.platform for offer in offers if offer.target is not None})
    if len(known) < 2:
        return offers
    of_arm = [platform for platform in known if platform.endswith(("-aarch64", "-arm64"))]
    wanted = of_arm if arm else [platform for platform in known if platform not in of_arm]
    chosen = next(iter(wanted or known))
    return tuple(offer for offer in offers if offer.target is None or offer.target.platform == chosen)


def _is_allowed(offer: Offer, need: Need, spot_policy: SpotPolicy) -> bool:
    if need.vm_types and offer.vm_type not in need.vm_types:
        return False
    return spot_policy is SpotPolicy.SPOT_WITH_FALLBACK or offer.spot is (spot_policy is SpotPolicy.SPOT)


def _rank(offer: Offer, need: Need) -> tuple[object, ...]:
    preference = need.vm_types.index(offer.vm_type) if need.vm_types else 0
    name = (offer.vm_type, offer.region or "", offer.zone or "", offer.provider)
    size = (offer.resources.gpus, offer.resources.cpus, offer.resources.memory)
    if offer.price is None:
        return (preference, True, "", Decimal(0), size, name)
    return (
        preference,
        False,
        offer.price.currency,
        offer.price.per_hour,
        size if offer.price.is_free else (0, 0.0, 0),
        name,
    )


def _why(place: int, pool: Sequence[Offer], fallback: Sequence[Offer], need: Need, busy: int) -> str:
    """Return why ``pool[place]`` stands there; ``fallback`` is the on-demand offers, where there is spot besides."""
    offer = pool[place]
    words = [_place_by_type(offer, need) if need.vm_types else _place_by_price(place, pool, need)]
    if fallback:
        words.append(_spot_saving(offer, fallback) if offer.spot else "on-demand, for when no spot is to be had")
    if not need.vm_types and len(pool) > 1:
        words.append(_beside_next(offer, pool[1]) if place == 0 else _above_first(offer, pool[0]))
    if place == 0 and busy:
        words.append(f"{busy} other{'s' if busy > 1 else ''} had no room")
    return "; ".join(word for word in words if word)


def _place_by_type(offer: Offer, need: Need) -> str:
    if len(need.vm_types) == 1:
        return "the type that was asked for"
    return f"number {need.vm_types.index(offer.vm_type) + 1} of the {len(need.vm_types)} types that were asked for"


def _place_by_price(place: int, pool: Sequence[Offer], need: Need) -> str:
    wanted = _spoken(need)
    if len(pool) == 1:
        return f"the only one that has {wanted}" if wanted else "the only one there is"
    price = pool[place].price
    among = f"of {len(pool)}" + (f" that have {wanted}" if wanted else "")
    unpriced = "" if price is not None else ", and nobody says what it costs"
    if place > 0:
        return f"number {place + 1} {among}{unpriced}"
    if price is None:
        return f"smallest {among}{unpriced}"
    return f"{'free, and the smallest such' if price.is_free else 'cheapest'} {among}"


def _beside_next(offer: Offer, dearer: Offer) -> str:
    """Return what it would cost to take the next one in place of this."""
    if offer.price is None or dearer.price is None or offer.price.currency != dearer.price.currency:
        return ""
    if offer.price == dearer.price:
        return f"{_called(dearer, offer)} {'is free too' if offer.price.is_free else 'costs the same'}"
    if offer.price.is_free:
        return f"{_called(dearer, offer)} costs {dearer.price}"
    return f"{_called(dearer, offer)} costs {_percent(dearer.price.per_hour / offer.price.per_hour - 1)} more"


def _above_first(offer: Offer, first: Offer) -> str:
    if offer.price is None or first.price is None or offer.price.currency != first.price.currency:
        return ""
    if first.price.is_free or first.price.per_hour == offer.price.per_hour:
        return ""
    return f"{_percent(offer.price.per_hour / first.price.per_hour - 1)} dearer than {_called(first, offer)}"


def _called(offer: Offer, beside: Offer) -> str:
    """Return the offer's type, with its place where the type alone doesn't tell the two apart."""
    if offer.vm_type != beside.vm_type:
        return offer.vm_type
    place = offer.zone or offer.region
    return f"{offer.vm_type} in {place}" if place else f"another {offer.vm_type}"


def _spot_saving(offer: Offer, on_demand: Sequence[Offer]) -> str:
    for other in on_demand:
        if (other.vm_type, other.region) != (offer.vm_type, offer.region):
            continue
        if other.price is None or offer.price is None or other.price.currency != offer.price.currency:
            continue
        if other.price.per_hour > offer.price.per_hour:
            return f"spot, {_percent(1 - offer.price.per_hour / other.price.per_hour)} below its on-demand price"
    return "spot, before on-demand"


def _percent(ratio: Decimal) -> str:
    return f"{ratio * 100:.0f} %" if ratio >= Decimal("0.01") else "less than 1 %"


def _spoken(need: Need) -> str:
    """Return the need as what follows "has"; empty where nothing was asked for."""
    asked = [_amount(need.cpus, 1, "core"), _amount(need.memory, GIB, "GiB")]
    if need.gpus:
        asked.append(f"{need.gpus} {f'{need.gpu_type} ' if need.gpu_type else ''}GPU{'s' if need.gpus > 1 else ''}")
    if need.disk is not None:
        asked.append(f"{need.disk / GIB:.4g} GiB of disk")
    asked = [words for words in asked if words]
    if not asked:
        return ""
    return f"{', '.join(asked[:-1])}{' and ' if asked[1:] else ''}{asked[-1]}"


def _amount(range_: Range, unit: int, word: str) -> str:
    low, high = (None if bound is None else f"{bound / unit:.4g}" for bound in (range_.minimum, range_.maximum))
    if low is None and high is None:
        return ""
    plural = "s" if word == "core" and (low if high is None else high) != "1" else ""
    if low is None:
        return f"at most {high} {word}{plural}"
    return f"{low}{f' to {high}' if high not in {None, low} else ''} {word}{plural}"
