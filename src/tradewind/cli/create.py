"""``tradewind cluster create``: a cluster on a server, from a terminal."""

from __future__ import annotations

import importlib
import secrets
import time
from typing import Any

import click

from tradewind import wire
from tradewind.cli.terminal import engine, open_console, print_json
from tradewind.client.api import Engine
from tradewind.client.door import find_place, must_stream
from tradewind.client.tables import bytes_text
from tradewind.errors import ClusterStartError, SignInNeeded
from tradewind.model.cluster import Cluster, ClusterStatus
from tradewind.model.instance import InstanceStatus, Role
from tradewind.model.views import ClusterView

LOOK_S = 5.0


def parse_workers(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | list[int] | None:
    """Return a number, or the ends of a range written ``2:10``."""
    if value is None:
        return None
    try:
        numbers = [int(part) for part in value.split(":")]
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number (4) nor a range (2:10).", ctx, parameter) from None
    return numbers[0] if len(numbers) == 1 else numbers


def parse_tags(ctx: click.Context, parameter: click.Parameter, value: tuple[str, ...]) -> dict[str, str]:
    """Return ``KEY=VALUE`` as a mapping."""
    wrong = [text for text in value if not text.partition("=")[0] or "=" not in text]
    if wrong:
        raise click.BadParameter(f"{wrong[0]!r} isn't written as project=enso.", ctx, parameter)
    return {key: text for key, _, text in (one.partition("=") for one in value)}


def parse_limit(ctx: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Return the keyword's value: "off" is None, and what wasn't given is the constructor's default."""
    return _keywords().UNSET if value is None else None if value.lower() in {"off", "never"} else value


@click.command()
@click.argument("name", required=False)
@click.option(
    "--n-workers", "-n", callback=parse_workers, metavar="N|MIN:MAX", help="How many; a range follows the work."
)
@click.option("--worker-cpu", type=float, help="Cores of each worker.")
@click.option("--worker-memory", metavar="SIZE", help='Memory of each worker: "16 GiB".')
@click.option("--scheduler-cpu", type=float, help="Cores of the scheduler.")
@click.option("--scheduler-memory", metavar="SIZE", help="Memory of the scheduler.")
@click.option("--provider", metavar="NAME", help="Where it runs.")
@click.option("--region", metavar="NAME", help="Where there, on providers that have several.")
@click.option("--spot-policy", metavar="POLICY", help="on-demand, spot or spot_with_fallback.")
@click.option("--software", metavar="NAME", help="A named environment.")
@click.option(
    "--package-sync-ignore", multiple=True, metavar="PACKAGE", help="Of your packages, one that machines do without."
)
@click.option("--budget", metavar="MONEY", help='Hard limit on what it may cost: "5 EUR".')
@click.option("--tag", "tags", multiple=True, callback=parse_tags, metavar="KEY=VALUE", help="For cost tables.")
@click.option(
    "--idle-timeout", callback=parse_limit, metavar="HOW LONG", help='Ends after so long without a task: "1h", "off".'
)
@click.option(
    "--no-client-timeout",
    callback=parse_limit,
    metavar="HOW LONG",
    help="Ends when nobody was connected for so long. Default: off, since nobody is yet.",
)
@click.option("--cluster-timeout", metavar="HOW LONG", help="Ends at this age whatever happens.")
@click.option("--workspace", metavar="NAME", help="Who shares it and pays. Default: the one in use.")
@click.option("--wait", is_flag=True, help="Return when its workers are there.")
@click.option("--json", "as_json", is_flag=True, help="Print its record as JSON.")
def create(wait: bool, as_json: bool, **options: Any) -> None:
    """Start a cluster on a server, and say how to connect to it. Options are the keywords of Cluster(…)."""
    place = find_place()
    if place.server is None:
        raise SignInNeeded(
            "a cluster needs somebody who looks after it, and this command ends at once: sign in to a server "
            "(tradewind login https://…), or start it in Python: from tradewind import Cluster; Cluster(n_workers=4)"
        )
    keywords = _keywords()
    if options["no_client_timeout"] is keywords.UNSET:
        options["no_client_timeout"] = None
    options["package_sync_ignore"] = list(options["package_sync_ignore"]) or None
    spec = keywords.spec_from(
        {**keywords.DEFAULTS, **options},
        place.settings,
        default_name=f"{options['workspace'] or place.settings.workspace}-{secrets.token_hex(4)}",
        shares_files=place.shares_files,
    )
    with engine(workspace=spec.workspace) as api:
        api.prepare(spec.provider)
        session = _part("session").Session(
            api, spec, place.settings.software.public_indexes, streams=must_stream(place, spec.provider)
        )
        with open_console().status(f"Starting {spec.name} …"):
            made = api.run(_part("software.equipping").create_equipped(session, place))
        if wait:
            made = _until_up(api, made).cluster
    if as_json:
        print_json(wire.dump(made))
        return
    click.echo(f"{made.name} is {made.status.value}.")
    if session.to_bring is not None and session.to_bring.artifacts:
        size = bytes_text(sum(file.size for file in session.to_bring.artifacts))
        click.echo(f"It has your own code as it is now ({size}); after changes: cluster.sync_environment().")
    click.echo(
        "To connect, in Python:\n\n"
        f"    from tradewind import Cluster\n    client = Cluster.from_name({made.name!r}).get_client()\n\n"
        f"To end it: tradewind cluster stop {made.name}"
    )


def _until_up(api: Engine, made: Cluster) -> ClusterView:
    until = time.monotonic() + made.spec.lifetimes.start.total_seconds()
    wanted = made.intent.scaling.initial
    view = api.run(api.view(made.id))
    with open_console().status(f"Starting {made.name} …") as status:
        while True:
            one = view.cluster
            if one.status.rank >= ClusterStatus.STOPPING.rank:
                raise ClusterStartError(f"cluster {made.name!r} could not be started: {one.stop_detail}.", made.id)
            workers = [i for i in view.instances if i.role is Role.WORKER and i.status is InstanceStatus.RUNNING]
            if one.status is ClusterStatus.RUNNING and len(workers) >= wanted:
                return view
            if time.monotonic() > until:
                raise ClusterStartError(f"cluster {made.name!r} has {len(workers)} of {wanted} workers.", made.id)
            status.update(f"Starting {made.name}: {one.status.value}, {len(workers)} of {wanted} workers …")
            view = api.run(api.wait_changed(made.id, view.revision, LOOK_S))


def _keywords() -> Any:
    return _part("keywords")


def _part(name: str) -> Any:
    """Return a module of the client's side: Dask's part of it is imported for this command alone."""
    return importlib.import_module(f"tradewind.client.{name}")
