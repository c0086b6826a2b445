"""How long a job may run by the limits of account and QoS, which are mostly shorter than the partition's. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from tradewind.providers.batch.queue import Partition
from tradewind.providers.slurm.site import read_time

BETWEEN = "--"
"""Stands between the two answers of :data:`COMMAND`."""
COMMAND = (
    "/bin/sh",
    "-c",
    # Where limits aren't enforced nobody need be asked for them, and a database that is away keeps nobody waiting.
    "scontrol show config | grep -q '^AccountingStorageEnforce *=.*limits' || exit 0; "
    # Both at once: a cluster isn't asked for before, and each takes a quarter of a second.
    "qos=$(mktemp) || exit 0; trap 'rm -f \"$qos\"' EXIT; "
    'timeout 4 sacctmgr --noheader --parsable2 show qos format=name,maxwall,flags >"$qos" 2>/dev/null & '
    'timeout 4 sacctmgr --noheader --parsable2 show user name="$(id -un)" withassoc '
    "format=cluster,defaultaccount,account,partition,maxwall,defaultqos,qos 2>/dev/null && "
    f'wait $! && echo {BETWEEN} && cat "$qos"; exit 0',
)
USUAL_QOS = "normal"


@dataclass(frozen=True, slots=True, kw_only=True)
class Association:
    """What one may do with an account."""

    cluster: str
    account: str
    is_default: bool
    """Whether it is charged where nobody says which."""
    partition: str
    """Empty where it is of all."""
    longest: timedelta | None
    qos: Sequence[str]
    """Its own first, if it has one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What accounting allows."""

    associations: Sequence[Association] = ()
    qos: Mapping[str, timedelta | None] = field(default_factory=dict)
    """How long a job of each may run."""
    beyond: frozenset[str] = frozenset()
    """Those with which a job may run for longer than its partition allows."""
    over: frozenset[str] = frozenset()
    """Those that go before that of the partition."""


def read_limits(text: str) -> Limits:
    """Return the limits, from what :data:`COMMAND` says; none where nobody says any."""
    ours, _, qualities = text.partition(f"\n{BETWEEN}\n")
    rows = [line.split("|") for line in qualities.splitlines() if line.count("|") == 2]
    return Limits(
        associations=tuple(_associations(ours)),
        qos={name: read_time(longest) for name, longest, _ in rows},
        beyond=frozenset(name for name, _, flags in rows if "PartitionTimeLimit" in flags),
        over=frozenset(name for name, _, flags in rows if "OverPartQOS" in flags),
    )


def limited(
    partitions: Sequence[Partition],
    limits: Limits,
    *,
    cluster: str,
    own_qos: Mapping[str, str],
    account: str | None,
    qos: str | None,
) -> list[Partition]:
    """Return partitions with the time that a job may really have in each.

    Parameters
    ----------
    partitions : sequence of Partition
        As they say themselves.
    limits : Limits
        What accounting allows.
    cluster : str
        Name of the cluster; empty where it isn't known.
    own_qos : mapping
        The QoS that a partition has itself, whose limits go first.
    account, qos : str, optional
        As the settings name them.
    """
    return [
        _limited(one, limits, cluster=cluster, first=own_qos.get(one.name), account=account, qos=qos)
        for one in partitions
    ]


def read_own_qos(text: str) -> dict[str, str]:
    """Return the QoS of each partition that has one, from ``scontrol --oneliner show partition``."""
    found = {}
    for line in text.splitlines():
        facts = dict(part.partition("=")[::2] for part in line.split() if "=" in part)
        if facts.get("QoS", "N/A") not in {"N/A", ""}:
            found[facts.get("PartitionName", "")] = facts["QoS"]
    return found


def read_cluster(config: str) -> str:
    """Return the cluster's name, from ``scontrol show config``."""
    found = re.search(r"^ClusterName\s*=\s*(\S+)", config, re.MULTILINE)
    return found[1] if found is not None else ""


def _associations(text: str) -> Iterator[Association]:
    for line in text.splitlines():
        parts = line.split("|")
        if len(parts) != 7:
            continue
        cluster, default, account, partition, longest, own, others = parts
        names = [own, *others.split(",")] if own else others.split(",")
        yield Association(
            cluster=cluster,
            account=account,
            is_default=account == default,
            partition=partition,
            longest=read_time(longest),
            qos=tuple(name for name in names if name) if own or len(others.split(",")) == 1 else (USUAL_QOS,),
        )


def _limited(
    one: Partition, limits: Limits, *, cluster: str, first: str | None, account: str | None, qos: str | None
) -> Partition:
    ours = _association(limits, cluster, one.name, account)
    name = qos or (ours.qos[0] if ours is not None and ours.qos else USUAL_QOS)
    order = [name, first] if name in limits.over else [first, name]
    # Where several limit it, Slurm goes by the first that does.
    found = [(limits.qos[each], f"QoS {each}") for each in order if each is not None and limits.qos.get(each)]
    if ours is not None and ours.longest is not None:
        found.append((ours.longest, f"your account {ours.account}"))
    longest, whose = found[0] if found else (None, "")
    if longest is None or longest == one.longest_time:
        return one
    if one.longest_time is not None and one.longest_time < longest and name not in limits.beyond:
        return one
    default = one.default_time if one.default_time is None else min(one.default_time, longest)
    return replace(one, longest_time=longest, default_time=default, limited_by=whose)


def _association(limits: Limits, cluster: str, partition: str, account: str | None) -> Association | None:
    ours = [
        one
        for one in limits.associations
        if (not cluster or one.cluster == cluster)
        and one.partition in {"", partition}
        and (one.account == account if account is not None else one.is_default)
    ]
    # One for this partition alone goes before one for all.
    return max(ours, key=lambda one: bool(one.partition), default=None)
