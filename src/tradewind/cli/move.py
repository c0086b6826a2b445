"""What changes when a project moves from one way to run clusters to another: ``tradewind freedom --move-to``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console
from rich.text import Text

from tradewind.advisor.freedom.finding import Document, Place
from tradewind.advisor.freedom.loss import Report
from tradewind.advisor.freedom.move import Difference, Way, differences, told_way
from tradewind.advisor.freedom.starts import ALIKE, Start, starts_in
from tradewind.advisor.shelf import open_freedoms, open_words_of_moves
from tradewind.cli.setup import setup
from tradewind.client.door import find_place
from tradewind.client.keywords import DEFAULTS, checked, spec_from
from tradewind.config import Settings, config_file
from tradewind.engine import ways
from tradewind.engine.admission import honoured
from tradewind.errors import BadRequest, TradewindError
from tradewind.providers.registry import find_provider

QUIET = "bright_black"
WEIGHED = frozenset(
    {
        "spot_policy",
        "region",
        "arm",
        "worker_gpu",
        "scheduler_gpu",
        "worker_vm_types",
        "scheduler_vm_types",
        "software",
        "**",
    }
)
"""Keywords that may mean nothing elsewhere, or be refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeChange:
    """A line that must change, or that means something else there."""

    place: Place
    says: str
    is_needed: bool
    """Whether it fails as it stands."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """All that changes."""

    here: Way
    there: Way
    differences: tuple[Difference, ...]
    code: tuple[CodeChange, ...]
    starts: int
    """How many places start a cluster."""


def plan_move(documents: Sequence[Document], report: Report, to: str, here: str | None) -> Move:
    """Return what changes on the way.

    Parameters
    ----------
    documents : sequence of Document
        The project's files.
    report : Report
        What ties it.
    to, here : str
        Ways to run clusters; ``here`` is by default the one in use.

    Raises
    ------
    NotFound
        There is no such way.
    BadRequest
        Both are the same.
    """
    place = find_place()
    settings = place.settings
    here = here or (ways.SERVER if place.server is not None else settings.provider)
    before, after = ways.way(here, settings), ways.way(to, settings)
    if here == to:
        raise BadRequest(f"this runs on {to!r} already; name another way, or where it runs now: --from.")
    after = replace(after, is_found=to in setup.commands)
    freedoms = open_freedoms()
    starts = [start for document in documents for start in starts_in(document, freedoms)]
    code = [change for start in starts for change in _changes(start, to, settings)]
    code += list(_paths(report, before, after))
    return Move(
        here=before,
        there=after,
        differences=differences(before, after, open_words_of_moves()),
        code=tuple(sorted(code, key=lambda change: (change.place, not change.is_needed))),
        starts=len(starts),
    )


def _changes(start: Start, to: str, settings: Settings) -> Iterator[CodeChange]:
    """Yield what our own checks say of a call, had it been made there."""

    def change(says: str, *, is_needed: bool) -> CodeChange:
        return CodeChange(place=start.place, says=says, is_needed=is_needed)

    if not start.is_ours:
        alike = ", with the same keywords" if start.name == ALIKE else ""
        yield change(f"{start.name}(...) becomes tradewind.Cluster(...){alike}", is_needed=True)
        if not alike:
            return
    given = dict(start.keywords)
    named = given.pop("provider", None)
    provider = settings.provider if to == ways.SERVER else to
    if to == ways.SERVER:
        if named is not None:
            yield change(
                f"provider={named!r} must be one that the server offers; leave it out for its usual one",
                is_needed=False,
            )
            provider = named if isinstance(named, str) else provider
    elif named is not None and named != to:
        says = f"provider={named!r} becomes provider={to!r}; or leave it out, and your settings say where"
        yield change(says, is_needed=True)
    if "provider" in start.computed:
        yield change("provider= is computed: see to it that it says so", is_needed=False)
    # Each keyword alone: of several that are refused, all are named.
    for name, value in given.items():
        try:
            keywords = {**DEFAULTS, **_meant({name: value})}
            spec = spec_from(keywords, replace(settings, provider=provider), default_name="moved", shares_files=False)
            for note in honoured(spec, find_provider(provider)):
                yield change(note, is_needed=False)
        except TradewindError as error:
            yield change(str(error), is_needed=True)
    computed = [name for name in start.computed if name in WEIGHED]
    if computed:
        names = ", ".join(f"{name}=" if name != "**" else "**keywords" for name in computed)
        yield change(f"{names} is known only when it runs, and wasn't looked at", is_needed=False)


def _meant(given: dict[str, Any]) -> dict[str, Any]:
    """Return those keywords that make the spec; raises for what nobody knows."""
    beside = {"show_widget", "asynchronous", "loop", "wait_for_workers", "credentials", "credentials_duration_seconds"}
    unknown = {name: value for name, value in given.items() if name not in DEFAULTS and name not in beside}
    known = {**DEFAULTS, **{name: value for name, value in given.items() if name in DEFAULTS}}
    extra = dict.fromkeys(("container", "ignore_container_entrypoint", "worker_class"))
    extra |= {name: unknown.pop(name) for name in tuple(unknown) if name in extra}
    return checked({**known, **extra}, unknown)


def _paths(report: Report, here: Way, there: Way) -> Iterator[CodeChange]:
    """Yield the paths of this machine that are written in, where machines there don't see them."""
    if not here.facts.get("same_file_system") or there.facts.get("same_file_system") is not False:
        return
    for loss in (*report.losses, *report.accepted):
        if loss.rule.id == "written-in-path" and not loss.what.startswith("http"):
            for place in loss.places:
                yield CodeChange(
                    place=place, says=f"{loss.what} isn't there: name a URL that all machines read", is_needed=True
                )


def told_move(move: Move) -> dict[str, Any]:
    """Return a move as plain data."""
    return {
        "from": told_way(move.here),
        "to": told_way(move.there),
        "differences": [{"fact": one.fact, "says": one.says} for one in move.differences],
        "code": [{"place": str(one.place), "says": one.says, "needed": one.is_needed} for one in move.code],
        "starts": move.starts,
    }


def print_move(console: Console, move: Move) -> None:
    """Print a move for a person: what to set, what to change, what is different."""
    there = move.there
    console.print(Text(f"From {move.here.name} to {there.name}\n", style="bold"))
    if there.missing:
        console.print(f"Install first\n  {there.missing}\n", soft_wrap=True)
    console.print(Text(f"In your settings ({config_file()})", style="bold"))
    for line in _settings_lines(move.here, there):
        console.print(f"  {line}", soft_wrap=True)
    console.print(Text("\nIn the code", style="bold"))
    for change in move.code:
        style = "yellow" if change.is_needed else QUIET
        console.print(Text.assemble(f"  {change.place}  ", (change.says, style)), soft_wrap=True)
    if not move.code:
        places = f"{move.starts} place{'s' if move.starts != 1 else ''} start{'s' if move.starts == 1 else ''} clusters"
        console.print(
            f"  nothing: {places}, and as they stand they run there too"
            if move.starts
            else "  nothing is started here yet"
        )
    console.print(Text("\nWhat is different there", style="bold"))
    for one in move.differences:
        console.print(f"  {one.says}", soft_wrap=True)
    if not move.differences:
        console.print("  nothing that you would see")
    console.print(
        f"\nThen see that it gives the same: tradewind freedom SCRIPT --replicate {move.here.name} "
        f"--replicate {there.name}",
        style=QUIET,
        soft_wrap=True,
    )


def _settings_lines(here: Way, there: Way) -> Iterator[str]:
    if there.name == ways.SERVER:
        is_given = any(setting.is_given for setting in there.settings)
        yield "server is set already" if is_given else "tradewind login https://the.server, and nothing else"
        return
    if here.name == ways.SERVER:
        yield '`tradewind logout`; or server = "solo" for this once'
    yield f'provider = "{there.name}"'
    needed = [setting for setting in there.settings if setting.is_needed and not setting.is_given]
    if there.is_found:
        yield f"`tradewind setup {there.name} --write` asks what there is, and writes the table [{there.name}]"
    for setting in needed:
        yield f"{setting.key}: {setting.meaning}"
    known = {setting.key.partition(".")[2]: setting for setting in there.settings}
    for setting in here.settings:
        same = known.get(setting.key.partition(".")[2])
        if setting.is_given and same is not None and not same.is_given:
            yield f"{setting.key}, which you have set, becomes {same.key}; see whether its value means the same there"
    given = [setting.key for setting in there.settings if setting.is_given]
    if given:
        yield f"set already: {', '.join(given)}"
    for setting in there.settings:
        if "price" in setting.key and not setting.is_given and not setting.is_needed:
            yield f"{setting.key}: {setting.meaning}"
    yield "`tradewind doctor` says whether it works"
