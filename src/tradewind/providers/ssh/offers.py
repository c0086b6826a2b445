"""What the hosts offer: shares of themselves. Pure; what is free at the moment is asked at launch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType

from tradewind.config import SshHost
from tradewind.errors import BadRequest
from tradewind.model.environment import Target
from tradewind.model.instance import Role
from tradewind.model.money import Price
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Need, Resources
from tradewind.model.views import PlannedInstances
from tradewind.providers.ssh.inventory import ANY_HOST, Share, how_many, share_of

InOrder = Callable[[PlannedInstances, Mapping[str, Share]], Sequence[SshHost]]
"""Returns the hosts with room for one of these beside what others will take, the one that would take it first."""
LEAST_MEMORY = 128 * 1024**2
"""With less than this a Dask process would be killed while it starts."""


def offers_for(
    need: Need, hosts: Sequence[SshHost], machines: Mapping[str, Target] = MappingProxyType({})
) -> tuple[Offer, ...]:
    """Return the shares of hosts that answer ``need``, cheapest first, unpriced last.

    Hosts of one platform where a share costs the same are one offer: which of them takes it is decided at launch, by
    what is free.

    Parameters
    ----------
    need : Need
        What is asked; with nothing said, the hosts are divided by ``need.count``.
    hosts : sequence of SshHost
        The inventory.
    machines : mapping
        What is known of them, by name.

    Raises
    ------
    BadRequest
        It can never be had; the message says what the most is.
    """
    found: list[Offer] = []
    for word in need.vm_types or (ANY_HOST,):
        mine = called(word, hosts)
        if not mine:
            known = sorted({host.name for host in hosts} | {label for host in hosts for label in host.labels})
            raise BadRequest(f"no host is called {word!r} or has that label; known are: {', '.join(known)}")
        resources = _size(need, mine)
        found += _grouped(need, word, resources, mine, machines)
    return tuple(sorted(found, key=lambda o: (o.price is None, o.price.per_hour if o.price else Decimal(0))))


def called(word: str, hosts: Sequence[SshHost]) -> list[SshHost]:
    """Return the hosts that a ``vm_type`` means: one by its name, some by a label, or all."""
    return [host for host in hosts if word in {ANY_HOST, host.name, *host.labels}]


def candidates(
    offer: Offer, role: Role, hosts: Sequence[SshHost], machines: Mapping[str, Target] = MappingProxyType({})
) -> list[SshHost]:
    """Return the hosts that can keep what was offered, at that price; of those that aren't known, any may."""
    share = share_of(offer.resources, role)
    return [
        host
        for host in called(offer.vm_type, hosts)
        if how_many(host, _whole(offer.resources)) and _price(host, share, role) == offer.price
        if offer.target is None or _platform(host, machines) in {None, offer.target.platform}
    ]


def hosts_expected(planned: Sequence[PlannedInstances], in_order: InOrder) -> list[str]:
    """Return the hosts that would take what is planned, were it ordered now; not those with an environment of ours."""
    taken: dict[str, Share] = {}
    found: list[str] = []
    for one in planned:
        for _ in range(one.count):
            choice = in_order(one, taken)
            if not choice:
                break
            host = choice[0]
            taken[host.name] = taken.get(host.name, Share()) + share_of(one.offer.resources, one.role)
            if host.environment is None and host.name not in found:
                found.append(host.name)
    return found


def _size(need: Need, hosts: Sequence[SshHost]) -> Resources:
    """Return what one instance has."""
    if need.gpu_type:
        raise BadRequest("a gpu_type means nothing here; name hosts, or a label of theirs, as vm_types instead")
    if need.beside:
        memory = need.memory.minimum or min(host.memory for host in hosts)
        resources = Resources(cpus=need.cpus.minimum or 1, memory=int(_at_most(memory, need.memory.maximum)))
        _refuse_unless(resources, hosts, 1)
        return resources
    smallest = Resources(cpus=need.cpus.minimum or 1, memory=int(need.memory.minimum or LEAST_MEMORY), gpus=need.gpus)
    able = [host for host in hosts if how_many(host, _whole(smallest))]
    least = max(1, need.count if need.least is None else min(need.least, need.count))
    # Of a range as many as there is room for: the hosts are divided among these.
    wanted = max(least, min(need.count, _room(smallest, able)))
    if wanted > _room(smallest, able):
        _refuse_unless(smallest, hosts, least)
    cpus = need.cpus.minimum or _at_most(_largest([host.cores for host in able], wanted), need.cpus.maximum)
    memory = need.memory.minimum or _at_most(_memory(need, able, cpus, wanted), need.memory.maximum)
    resources = Resources(cpus=cpus, memory=int(memory), gpus=need.gpus)
    _refuse_unless(resources, hosts, least)
    return resources


def _largest(wholes: Sequence[int], wanted: int) -> int:
    """Return the largest share of which ``wanted`` can be cut from these; at least 1."""
    shares = sorted({whole // n for whole in wholes for n in range(1, wanted + 1) if whole // n}, reverse=True)
    return next((share for share in shares if sum(whole // share for whole in wholes) >= wanted), 1)


def _memory(need: Need, hosts: Sequence[SshHost], cpus: float, wanted: int) -> int:
    shares = sorted({host.memory // n for host in hosts for n in range(1, wanted + 1)}, reverse=True)
    for memory in shares:
        if _room(Resources(cpus=cpus, memory=memory, gpus=need.gpus), hosts) >= wanted:
            return memory
    return max(1, shares[-1])


def _room(resources: Resources, hosts: Sequence[SshHost]) -> int:
    return sum(how_many(host, _whole(resources)) for host in hosts) if resources.memory else 0


def _whole(resources: Resources) -> Share:
    return Share(cpus=resources.cpus, memory=resources.memory, gpus=resources.gpus)


def _refuse_unless(resources: Resources, hosts: Sequence[SshHost], least: int) -> None:
    room = _room(resources, hosts)
    gpus = f", {resources.gpus} GPUs" if resources.gpus else ""
    size = f"{resources.cpus:g} cores, {_gib(resources.memory)}{gpus}"
    if room < least:
        has = "; ".join(
            f"{host.name} has {host.cores} cores, {_gib(host.memory)}" + (f", {host.gpus} GPUs" if host.gpus else "")
            for host in hosts
        )
        asked = f"{least} of {size} each" if least > 1 else size
        raise BadRequest(f"{asked} can't be had: there is room for {room}; {has}")
    if resources.memory < LEAST_MEMORY:
        raise BadRequest(
            f"{_gib(resources.memory)} is too little: a Dask process needs {LEAST_MEMORY // 1024**2} MiB; "
            "ask for fewer workers, or for more memory each"
        )


def _grouped(
    need: Need, word: str, resources: Resources, hosts: Sequence[SshHost], machines: Mapping[str, Target]
) -> list[Offer]:
    role = Role.SCHEDULER if need.beside else Role.WORKER
    share = share_of(resources, role)
    groups: list[tuple[tuple[Price | None, str | None], list[SshHost]]] = []
    for host in hosts:
        if not how_many(host, _whole(resources)):
            continue
        kind = (_price(host, share, role), _platform(host, machines))
        group = next((group for known, group in groups if known == kind), None)
        if group is None:
            groups.append((kind, [host]))
        else:
            group.append(host)
    return [
        Offer(
            provider="ssh",
            vm_type=word,
            resources=resources,
            price=price,
            room=None if need.beside else _room(resources, group),
            target=_target(group, machines),
            note=_note(need, price, group),
        )
        for (price, _), group in groups
    ]


def _platform(host: SshHost, machines: Mapping[str, Target]) -> str | None:
    return machines[host.name].platform if host.name in machines else None


def _target(hosts: Sequence[SshHost], machines: Mapping[str, Target]) -> Target | None:
    """Return what runs on all of these, which are of one platform: the oldest C library counts."""
    known = [machines[host.name] for host in hosts if host.name in machines]
    return min(known, key=lambda one: [int(part) for part in one.glibc.split(".") if part]) if known else None


def _price(host: SshHost, share: Share, role: Role) -> Price | None:
    """Return what a share costs: that of the host's price that it takes of its cores, memory or GPUs, the largest."""
    if host.price_per_hour is None:
        return None
    if role is Role.SCHEDULER:
        return Price(per_hour=Decimal(0), currency=host.currency)
    parts = [Decimal(str(share.cpus)) / host.cores, Decimal(share.memory) / host.memory]
    parts += [Decimal(share.gpus) / host.gpus] if share.gpus else []
    return Price(per_hour=host.price_per_hour * max(parts), currency=host.currency)


def _note(need: Need, price: Price | None, hosts: Sequence[SshHost]) -> str:
    names = ", ".join(host.name for host in hosts)
    notes = [f"on {names}" if len(hosts) == 1 else f"on any of {names}"]
    if need.beside and price is not None:
        notes.append("free beside the workers, who pay for the host")
    elif price is not None:
        rates = {f"{host.price_per_hour:f} {host.currency}" for host in hosts}
        notes.append(f"a whole host costs {' or '.join(sorted(rates))} an hour")
    return "; ".join(notes)


def _at_most(value: float, most: float | None) -> float:
    return value if most is None else min(value, most)


def _gib(memory: float) -> str:
    return f"{memory / GIB:.4g} GiB"
