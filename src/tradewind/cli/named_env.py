"""``tradewind env create|list|delete``: software that a workspace gave a name."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tradewind import wire
from tradewind.boot.environment.capture import capture, this_platform
from tradewind.boot.environment.files.read import FORMATS, read
from tradewind.boot.environment.translation.platforms import TARGETS
from tradewind.cli.signed_in import workspace_option
from tradewind.cli.terminal import engine, json_option, open_console, print_json
from tradewind.client.software.ready import carried, find_for
from tradewind.client.tables import QUIET, local_text, plain_table
from tradewind.config import cache_directory, load_settings
from tradewind.errors import NotFound
from tradewind.model.environment import Environment, PackageChoice, Target, seal
from tradewind.model.exchange import NewEnvironment
from tradewind.model.named import EnvironmentVersion, NamedEnvironment
from tradewind.planning.names import environment_name, environment_reference

USUAL = "linux-x86_64"


@click.command()
@click.argument("name")
@click.option(
    "--from", "file", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help=f"One of {FORMATS}."
)
@click.option("--image", metavar="REF", help="A container image, as ghcr.io/lab/climate:2.")
@click.option("--this", "is_this", is_flag=True, help="The packages of the Python that runs this.")
@click.option(
    "--platform",
    "platforms",
    type=click.Choice(TARGETS),
    multiple=True,
    help="For which machines, several times for several. Default: all that FILE is locked for; else as this computer "
    "where that is Linux, else x86_64.",
)
@click.option(
    "--python", "version", metavar="3.11", help="Of the machines, where the file doesn't say. Default: as here."
)
@click.option("--ignore", multiple=True, metavar="PACKAGE", help="With --this: leave it out; may be given again.")
@click.option("--without-local", is_flag=True, help="Leave out projects in directories of this computer.")
@click.option("--note", default="", metavar="TEXT", help="What it is for, for those who read the list.")
@workspace_option
@json_option
def create(
    name: str,
    file: Path | None,
    image: str | None,
    is_this: bool,
    platforms: tuple[str, ...],
    version: str | None,
    ignore: tuple[str, ...],
    without_local: bool,
    note: str,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Give software the name NAME, so that Cluster(software="NAME") runs it; the same again is its next version.

    It is locked on this computer, and then never changes.
    """
    if sum([file is not None, image is not None, is_this]) != 1:
        raise click.UsageError("say what it is made from: --from FILE, --image REF or --this")
    if image is not None and (platforms or version):
        raise click.UsageError("--platform and --python are for --from and --this: an image has its own")
    if ignore and not is_this:
        raise click.UsageError("--ignore is for --this: leave a package out of the file instead")
    environment_name(name)  # before minutes of locking
    notes: list[str] = []
    environments: tuple[Environment, ...] = ()
    usual = this_platform() if this_platform().startswith("linux-") else USUAL
    if file is not None:
        environments = read(
            file,
            platforms=platforms,
            usual=usual,
            python=version or ".".join(platform.python_version_tuple()[:2]),
            cache=cache_directory(),
            with_local=not without_local,
            say=notes.append,
        )
    elif is_this:
        targets = [Target(platform=one, python=version or "") for one in platforms or (usual,)]
        environments = _of_this(targets, PackageChoice(ignore=ignore), notes, with_local=not without_local)
    wanted = NewEnvironment(
        name=name,
        environments=environments,
        image=image or "",
        source=file.name if file is not None else "",
        note=note,
    )
    with engine(workspace=workspace, settle=False) as api:
        made = api.run(api.create_environment(wanted))
    if as_json:
        print_json(wire.dump(made))
        return
    console = open_console()
    for said in dict.fromkeys(notes):
        console.print(Text(said, style="yellow"))
    if not made.is_new:
        console.print(f"{made.version.reference} has this very content: nothing was made.")
        return
    if made.version.image:
        console.print(
            f"{made.version.reference}: {made.version.image}. No provider runs images yet: clusters refuse it."
        )
        return
    facts = f"{made.version.packages:,} packages for {', '.join(made.version.platforms)}"
    console.print(f"{made.version.reference}: {facts}. Run it with Cluster(software={name!r}).")


@click.command("list")
@click.argument("name", required=False)
@workspace_option
@json_option
def list_(name: str | None, workspace: str | None, as_json: bool) -> None:
    """List named environments with the newest version of each, or all versions of NAME."""
    with engine(workspace=workspace, settle=False) as api:
        found = api.run(api.environments(name))
    if as_json:
        print_json([wire.dump(one) for one in found])
        return
    console = open_console()
    if not found:
        console.print(
            "No software has a name here. Give it one with: tradewind env create NAME --from requirements.txt"
        )
        return
    console.print(versions_table(found))


@click.command()
@click.argument("reference", metavar="NAME[@VERSION]")
@click.option("--yes", is_flag=True, help="Don't ask before all versions of a name are deleted.")
@workspace_option
def delete(reference: str, yes: bool, workspace: str | None) -> None:
    """Delete a version of a named environment, or all of them. Clusters that have it keep it."""
    name, version = environment_reference(reference)
    with engine(workspace=workspace, settle=False) as api:
        if version is None and not yes:
            count = len(api.run(api.environments(name)))
            if count > 1:
                click.confirm(f"Delete all {count} versions of {name}?", abort=True)
        api.run(api.delete_environment(name, version))
    click.echo(f"{reference} is deleted.")


def find_named(word: str, workspace: str | None = None) -> NamedEnvironment | None:
    """Return the named environment that somebody means by ``climate`` or ``climate@3``; None where there is none.

    Raises NotFound for a version that a name hasn't.
    """
    name, version = environment_reference(word)
    with engine(workspace=workspace, settle=False) as api:
        try:
            return api.run(api.environment(name, version))
        except NotFound:
            if version is not None:
                raise
            return None


def print_named(console: Console, named: NamedEnvironment) -> None:
    """Print what is known of a version, beside its packages."""
    made = f"{named.reference}, made by {named.created_by} on {local_text(named.created_at)}"
    source = f" from {named.source}" if named.source else ""
    console.print(Text(f"{made}{source}", style="bold"))
    if named.note:
        console.print(Text(named.note))
    if named.image:
        console.print(Text(f"container image {named.image}"))


def versions_table(lines: Sequence[EnvironmentVersion]) -> Table:
    """Return versions, a line each."""
    table = plain_table()
    for title in ("environment", "has", "from", "by", "made"):
        table.add_column(title, overflow="fold")
    table.add_column("note", overflow="fold", style=QUIET)
    for one in lines:
        has = one.image or f"Python {one.python}, {one.packages:,} packages, {', '.join(one.platforms)}"
        source = "image" if one.image else one.source or "a Python"
        table.add_row(
            Text(one.reference),
            Text(has),
            Text(source),
            Text(one.created_by),
            Text(local_text(one.created_at)),
            Text(one.note),
        )
    return table


def _of_this(
    targets: Sequence[Target], choice: PackageChoice, notes: list[str], *, with_local: bool
) -> tuple[Environment, ...]:
    """Return this Python's packages as ``Cluster(…)`` would give them to machines of each kind."""
    here = capture()
    # Whoever launches a cluster puts in this program, as it is there.
    here = seal(replace(here, packages=tuple(package for package in here.packages if package.name != "tradewind")))
    public = load_settings().software.public_indexes
    found = []
    for target in targets:
        wanted = find_for(here, target, choice, say=notes.append)
        notes += wanted.notes()
        environment = carried(wanted, public, with_modules=False, say=notes.append)
        if not with_local:
            notes += [f"{package.name} is left out, as asked." for package in environment.packages if package.artifact]
            left = tuple(package for package in environment.packages if not package.artifact)
            environment = seal(replace(environment, packages=left, artifacts=()))
        found.append(environment)
    return tuple(found)
