"""What a site has for you, found by its own commands and written as settings with comments."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tradewind.errors import Unavailable
from tradewind.model.resources import GIB
from tradewind.providers.batch.queue import Partition, Site
from tradewind.providers.batch.runner import Runner
from tradewind.providers.slurm.provider import PRINTS
from tradewind.providers.slurm.queue import SlurmQueue

FAST = ("ib", "hsn", "opa", "bond")
"""How interfaces of fast networks begin: InfiniBand, Slingshot, Omni-Path, several as one."""
SCRATCH_VARIABLES = ("SLURM_TMPDIR", "LOCAL_SCRATCH", "TMPDIR")
LONG = timedelta(hours=4)
"""A walltime that most queues start soon and that few workers outlive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found."""

    site: Site
    accounts: Sequence[str]
    """Those you may charge; empty where nothing tells."""
    qos: Sequence[str]
    interfaces: Sequence[str]
    """Of fast networks, on this machine: nodes usually have the same."""
    scratch: Sequence[str]


async def survey(user: str, environ: Mapping[str, str]) -> Survey:
    """Ask the site's own commands. Raises Unavailable where Slurm doesn't answer."""
    queue, runner = SlurmQueue(), Runner(PRINTS)
    texts = []
    for command in queue.site_commands():
        said = await runner.run(command)
        if said.code:
            raise Unavailable(f"Slurm doesn't answer: {said.error.strip()[:300]}")
        texts.append(said.out)
    accounts, qos = await _associations(runner, user)
    names = sorted(name for _, name in socket.if_nameindex() if name.startswith(FAST))
    return Survey(site=queue.read_site(texts), accounts=accounts, qos=qos, interfaces=names, scratch=_scratch(environ))


async def _associations(runner: Runner, user: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    command = ["sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={user}", "format=account,qos"]
    try:
        said = await runner.run(command)
    except Unavailable:
        return (), ()  # a site without accounting has no accounts
    return read_associations(said.out) if not said.code else ((), ())


def read_associations(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return accounts and QoS, each once and in their order, from ``sacctmgr show assoc``."""
    rows = [line.split("|") for line in text.splitlines() if line.count("|") == 1]
    accounts = dict.fromkeys(account for account, _ in rows if account)
    qos = dict.fromkeys(name for _, names in rows for name in names.split(",") if name)
    return tuple(accounts), tuple(qos)


def compose(found: Survey) -> str:
    """Return a table ``[slurm]`` for the settings file: what is sure is set, what is a choice is a comment."""
    lines = ["# As `tradewind setup slurm` found it. Every line is optional.", "[slurm]"]
    lines += [f"# {_told(partition)}" for partition in found.site.partitions]
    default = [one.name for one in found.site.partitions if one.is_default]
    lines.append(_setting("partitions", json.dumps(default), is_sure=bool(default)))
    if found.accounts:
        lines += ["", f"# You may charge: {', '.join(found.accounts)}."]
        lines.append(_setting("account", json.dumps(found.accounts[0]), is_sure=len(found.accounts) == 1))
    if len(found.qos) > 1:
        lines += ["", f"# Your qualities of service: {', '.join(found.qos)}."]
        lines.append(_setting("qos", json.dumps(found.qos[0]), is_sure=False))
    lines += ["", "# How long a worker may run; it is replaced by then. Shorter jobs often start sooner."]
    lines.append(_setting("walltime", json.dumps(_walltime(found.site)), is_sure=False))
    lines += ["", "# The network between nodes."]
    if found.interfaces:
        lines.append(_setting("interface", json.dumps(found.interfaces[0]), is_sure=len(found.interfaces) == 1))
    else:
        lines.append("# This machine shows no fast one, so that of the nodes' own names is taken.")
    if found.scratch:
        lines += ["", "# A disk of the node, for what workers spill."]
        lines.append(_setting("scratch", json.dumps(found.scratch[0]), is_sure=False))
    lines += ["", "# What a service unit costs, if bills are to be in money."]
    lines += ['# price_per_su = "0.02"', '# currency = "EUR"']
    return "\n".join(lines) + "\n"


def _told(partition: Partition) -> str:
    kinds = [
        f"{shape.count} nodes of {shape.cpus} cores, {shape.memory / GIB:.4g} GiB"
        + "".join(f" and {number} {kind or 'unnamed'} GPUs" for kind, number in shape.gpus.items())
        for shape in partition.shapes
    ]
    longest = f"at most {partition.longest_time}" if partition.longest_time is not None else "without a time limit"
    usual = f", {partition.default_time} unless you say" if partition.default_time is not None else ""
    charges = f"; charges {partition.note}" if partition.note else ""
    name = f"{partition.name} (the default)" if partition.is_default else partition.name
    state = "" if partition.is_up else "; takes no jobs now"
    return f"{name}: {', '.join(kinds) or 'no node that runs anything now'}; {longest}{usual}{charges}{state}"


def _walltime(site: Site) -> str:
    limits = [one.longest_time for one in site.partitions if one.is_default and one.longest_time is not None]
    time = min([LONG, *limits])
    minutes = int(time.total_seconds() // 60)
    return f"{minutes // 60} hours" if minutes % 60 == 0 else f"{minutes} min"


def _setting(name: str, value: str, *, is_sure: bool) -> str:
    return f"{'' if is_sure else '# '}{name} = {value}"


def _scratch(environ: Mapping[str, str]) -> tuple[str, ...]:
    named = [f"${name}" for name in SCRATCH_VARIABLES if name in environ]
    there = [place for place in ("/local/scratch", "/scratch/local", "/tmp") if os.access(Path(place), os.W_OK)]
    return (*named, *there)
