"""What a site has for you, found by its own commands and written as settings with comments."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from tradewind.errors import Unavailable
from tradewind.model.resources import GIB
from tradewind.providers.batch.modules import Module, modules_of
from tradewind.providers.batch.queue import Partition, Queue, Site
from tradewind.providers.batch.runner import CommandRunner

FAST = ("ib", "hsn", "opa", "bond")
"""How interfaces of fast networks begin: InfiniBand, Slingshot, Omni-Path, several as one."""
SCRATCH_VARIABLES = ("SLURM_TMPDIR", "LOCAL_SCRATCH", "TMPDIR")
LOOK = (
    'for one in /sys/class/net/*; do echo "network ${one##*/}"; done; '
    f'for one in {" ".join(SCRATCH_VARIABLES)}; do eval "[ -n \\"\\$$one\\" ]" && echo "variable $one"; done; '
    'for one in /local/scratch /scratch/local /tmp; do [ -w $one ] && echo "directory $one"; done; exit 0'
)
"""What a machine shows by itself, in the words of its own login shell."""
LONG = timedelta(hours=4)
"""A walltime that most queues start soon and that few workers outlive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A setting of one system alone."""

    key: str
    words: str
    """What was found, a sentence."""
    value: str
    is_sure: bool
    """Whether there is nothing to choose."""
    is_personal: bool = False
    """Whether it is of who asked, and not the site's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What was found."""

    table: str
    """Of the settings: the name of the provider."""
    site: Site
    findings: Sequence[Finding]
    interfaces: Sequence[str]
    """Of fast networks, on the machine that was asked: nodes usually have the same."""
    scratch: Sequence[str]
    modules: Sequence[Module] = ()
    """Those that may matter, of the shell's ``module``."""
    has_parts: bool = True
    """Whether there are several parts of the machine to choose from, ever."""
    login: str = ""
    """The login node that was asked, as in the settings; empty: it was this machine."""


async def ask(queue: Queue, runner: CommandRunner) -> Site:
    """Return what there is. Raises Unavailable where the system doesn't answer."""
    texts = []
    for command in queue.site_commands():
        said = await runner.run(command)
        if said.code:
            raise Unavailable(f"{queue.name} doesn't answer: {said.error.strip()[:300]}")
        texts.append(said.out)
    return queue.read_site(texts)


async def survey_of(
    table: str, site: Site, findings: Sequence[Finding], runner: CommandRunner, environ: Mapping[str, str]
) -> Survey:
    """Return a survey with what the machine that is asked shows by itself: networks, scratch and modules.

    Parameters
    ----------
    table : str
        Of the settings.
    site : Site
        What the system has.
    findings : sequence of Finding
        Of that system alone.
    runner : CommandRunner
        Runs commands there.
    environ : mapping
        Variables of the session that asks, where it is on that machine.
    """
    # Of a login, since sites name their scratch by variables that it sets.
    said = await runner.run(["/bin/sh", "-l", "-c", LOOK])
    seen: dict[str, list[str]] = {"network": [], "variable": [], "directory": []}
    for line in said.out.splitlines():
        kind, _, name = line.partition(" ")
        if kind in seen:
            seen[kind].append(name)
    variables = [f"${name}" for name in SCRATCH_VARIABLES if name in seen["variable"] or name in environ]
    networks = sorted(name for name in seen["network"] if name.startswith(FAST))
    return Survey(
        table=table,
        site=site,
        findings=findings,
        interfaces=networks,
        scratch=(*variables, *seen["directory"]),
        modules=await modules_of(runner),
    )


def compose(found: Survey) -> str:
    """Return a table for the settings file: what is sure is set, what is a choice is a comment."""
    return _text(found, [f"# As `tradewind setup {found.table}` found it. Every line is optional."])


def compose_site(found: Survey, name: str) -> str:
    """Return the file of a site for others to have: the same, without what is only of who asked."""
    head = (
        f"# {name}: what holds for everybody there, as `tradewind setup {found.table}` found it.",
        f"# Read where settings have [{found.table}] site = {json.dumps(name)}; what they say themselves wins.",
    )
    # How one gets there is one's own as well: an alias, a name to log in with.
    site = replace(found, findings=[one for one in found.findings if not one.is_personal], login="")
    return _text(site, head)


def _text(found: Survey, head: Sequence[str]) -> str:
    lines = [*head, f"[{found.table}]"]
    if found.login:
        lines += ["# Reached by SSH, with your SSH settings and keys.", _setting("login", json.dumps(found.login)), ""]
    lines += [f"# {_told(partition)}" for partition in found.site.partitions]
    default = [one.name for one in found.site.partitions if one.is_default]
    some = default or [one.name for one in found.site.partitions][:1]
    if found.has_parts:
        lines.append(_setting(f"{found.site.part}s", json.dumps(some), is_sure=bool(default)))
    for finding in found.findings:
        lines += ["", f"# {finding.words}"]
        lines.append(_setting(finding.key, json.dumps(finding.value), is_sure=finding.is_sure))
    lines += ["", "# How long a worker may run; it is replaced by then. Shorter jobs often start sooner."]
    lines.append(_setting("walltime", json.dumps(_walltime(found.site)), is_sure=False))
    lines += ["", "# The network between nodes."]
    if found.interfaces:
        lines.append(_setting("interface", json.dumps(found.interfaces[0]), is_sure=len(found.interfaces) == 1))
    else:
        lines.append("# No fast one was seen, so that of the nodes' own names is taken.")
    if found.scratch:
        lines += ["", "# A disk of the node, for what workers spill."]
        lines.append(_setting("scratch", json.dumps(found.scratch[0]), is_sure=False))
    lines += _prologue(found.modules)
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


def _prologue(modules: Sequence[Module]) -> list[str]:
    """Return the modules that may matter as lines before Python starts, all to be chosen."""
    if not modules:
        return []
    told = ", ".join(f"{one.whole} (one of {one.others + 1})" if one.others else one.whole for one in modules)
    return [
        "",
        f"# Modules that may matter, for the shell before Python starts: {told}. Keep those that your Python needs.",
        _setting("prologue", json.dumps([f"module load {one.whole}" for one in modules]), is_sure=False),
    ]


def _walltime(site: Site) -> str:
    limits = [one.longest_time for one in site.partitions if one.is_default and one.longest_time is not None]
    time = min([LONG, *limits])
    minutes = int(time.total_seconds() // 60)
    return f"{minutes // 60} hours" if minutes % 60 == 0 else f"{minutes} min"


def _setting(name: str, value: str, *, is_sure: bool = True) -> str:
    return f"{'' if is_sure else '# '}{name} = {value}"
