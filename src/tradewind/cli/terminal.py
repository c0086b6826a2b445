"""What every command shares: the terminal, the JSON door, and the engine it asks."""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from tradewind import wire
from tradewind.client.api import Engine
from tradewind.client.door import close, open_api
from tradewind.errors import NotFound, TradewindError
from tradewind.model.cluster import Cluster, ClusterStatus, StopReason

if TYPE_CHECKING:
    from tradewind.client.remote.verbs import Remote
    from tradewind.engine.solo import Solo

    # Where a verb is missing in one of the two, or takes or returns something else, mypy says so here.
    BOTH: tuple[type[Engine], type[Engine]] = (Solo, Remote)

F = TypeVar("F", bound=Callable[..., Any])

PIPED_WIDTH = 160
"""Columns where the output isn't a terminal: nobody can widen a file, so no id may be cut in it."""
SETTLE_S = 2.0
"""Seconds that a reading command gives to finding out what became of clusters nobody looks after."""


def json_option(command: F) -> F:
    """Give a reading command its ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON; times are UTC, bytes and seconds plain.")(
        command
    )


class SafeConsole(Console):
    """A terminal that obeys us alone: names, messages and logs are other people's, and may hold what it would obey."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is to be written, with what can't be printed in it replaced."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(wire.printable(segment.text), segment.style)


def open_console() -> Console:
    """Return the terminal, or the file or pipe that stands in for it."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # a terminal without a letter shows "?", and the command goes on
    # Names and errors are other people's words: brackets in them are brackets.
    console = SafeConsole(markup=False, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPED_WIDTH
    return console


def print_json(value: object) -> None:
    """Print JSON-ready data."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    # JSON lets these stand as they are, and some terminals obey them.
    click.echo(re.sub("[\x7f-\x9f]", lambda found: f"\\u{ord(found[0]):04x}", text))


@contextmanager
def engine(*, looks_after: bool = False, settle: bool = True, workspace: str | None = None) -> Iterator[Engine]:
    """Open this user's engine, or the line to their server, for one command, and close it after.

    Parameters
    ----------
    looks_after : bool
        Whether clusters are kept up meanwhile. A command that only reads looks once at what nobody looks after, so
        that what died is shown as dead, and with the right bill.
    settle : bool
        Whether to take that look.
    workspace : str, optional
        Of those on a server, another than the one in use.

    Yields
    ------
    Engine
        Its verbs are coroutines for its own ``run``.
    """
    api = open_api(looks_after=looks_after, workspace=workspace)
    try:
        if settle and not looks_after:
            api.run(api.settle(SETTLE_S))
        yield api
    finally:
        close(api)


def find_cluster(api: Engine, name: str) -> Cluster:
    """Return the newest cluster of this name or id, living or not.

    Raises
    ------
    NotFound
        There is none; names the nearest.
    """
    found = api.run(api.find(name, live=False))
    if found is not None:
        return found
    views = api.run(api.list_clusters(limit=500))
    names = [view.cluster.name for view in views]
    near = difflib.get_close_matches(name, [*names, *(view.cluster.id for view in views)], n=1)
    if near:
        hint = f"did you mean {near[0]!r}?"
    elif names:
        hint = "`tradewind cluster list --all` shows those there are."
    else:
        hint = "there are none at all yet."
    raise NotFound(f"there is no cluster {name!r}; {hint}")


def complete_cluster(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Return the names of clusters that begin so, for a shell: of the live ones, or of all where all will do."""
    live = True if ctx.command.name == "stop" else None
    try:
        with engine(settle=False) as api:
            names = [view.cluster.name for view in api.run(api.list_clusters(live=live))]
    except TradewindError:
        return []  # somebody pressed Tab; the command itself will say what is wrong
    return [name for name in dict.fromkeys(names) if name.startswith(incomplete)]


def status_text(cluster: Cluster) -> Text:
    """Return a cluster's status, with the reason of its end where nobody asked for it."""
    if cluster.status is not ClusterStatus.STOPPED:
        return Text(cluster.status.value, style="green" if cluster.status is ClusterStatus.RUNNING else "yellow")
    if cluster.stop_reason in {None, StopReason.ASKED}:
        return Text("stopped", style="bright_black")
    assert cluster.stop_reason is not None
    style = "red" if cluster.stop_reason.is_failure else "bright_black"
    return Text(f"stopped: {cluster.stop_reason.value}", style=style)


def has_browser() -> bool:
    """Whether opening one can be of use; one in the terminal itself would take it away from us."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False
    return "SSH_CONNECTION" not in os.environ


def comma(words: Iterable[str]) -> str:
    """Return words as a list for a person."""
    return ", ".join(words)


def now() -> datetime:
    """Return this moment; commands show ages, and pure code gets it from here."""
    return datetime.now(UTC)
