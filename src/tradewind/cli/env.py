"""``tradewind env``: the software that a cluster runs, and why it is what it is."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tradewind import wire
from tradewind.boot.environment.capture import capture as capture_here
from tradewind.boot.environment.carry import carry
from tradewind.boot.environment.reasons import Why, size_of
from tradewind.boot.environment.reasons import why as why_here
from tradewind.boot.environment.sources import look
from tradewind.cli.env_there import show_there
from tradewind.cli.export import whole
from tradewind.cli.named_env import create, delete, find_named, list_, print_named
from tradewind.cli.terminal import engine, find_cluster, json_option, open_console, print_json
from tradewind.client.tables import QUIET, bytes_text, plain_table
from tradewind.config import cache_directory, load_settings
from tradewind.errors import BadRequest, NotFound
from tradewind.model.environment import Environment, Package, Source, Target
from tradewind.planning.names import environment_reference

THIS = "this"
TITLES = {
    Source.INDEX: "from a package index",
    Source.CONDA: "from conda channels",
    Source.VCS: "from repositories",
    Source.ARCHIVE: "from addresses of their own",
    Source.DIRECTORY: "copied from your directories",
    Source.EDITABLE: "run where they lie",
}
HASH_SHOWN = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of ``env diff --json``."""

    name: str
    here: Package | None
    """In the first; null where it isn't there."""
    there: Package | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """``env diff --json``."""

    python: tuple[str, str]
    platform: tuple[str, str]
    packages: tuple[Change, ...]


@click.group()
def env() -> None:
    """Show and compare the software that clusters run, and give it names."""


for command in (create, list_, delete):
    env.add_command(command)


@env.command()
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write it there, as JSON.")
@click.option("--carry", "carries", is_flag=True, help="Also build and pack what no index has, as for a far machine.")
@json_option
def capture(output: Path | None, carries: bool, as_json: bool) -> None:
    """Show what would be captured of this Python: packages, their sources, what is broken."""
    environment = capture_here()
    notes: list[str] = []
    if carries:
        environment = carry(
            environment, cache_directory(), public=load_settings().software.public_indexes, say=notes.append
        )
    if output is not None:
        with whole(output) as part:
            part.write_text(wire.dump_json(environment) + "\n", encoding="utf-8")
    if as_json:
        print_json(wire.dump(environment))
        return
    console = open_console()
    print_head(console, environment)
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column()
    for source, packages in by_source(environment):
        named = "" if source in {Source.INDEX, Source.CONDA} else ": " + ", ".join(p.name for p in packages)
        table.add_row(f"{len(packages):,}", Text(f"{TITLES[source]}{named}"))
    console.print(table)
    if environment.artifacts:
        console.print(artifacts_table(environment), "")
    for note in notes:
        console.print(Text(note, style="yellow"))
    for place in look().broken:
        console.print(Text(f"left out, since it isn't whole: {place}", style="yellow"))
    if output is not None:
        console.print(f"Written to {output}.")


@env.command()
@click.argument("what", metavar="[FILE|CLUSTER|NAME[@VERSION]]", default=THIS)
@json_option
def show(what: str, as_json: bool) -> None:
    """Show the packages of an environment, by where they come from.

    Of a file, a named environment, a cluster, or this Python.
    """
    console = open_console()
    named = find_named(what) if is_name(what) else None
    if named is not None:
        if as_json:
            print_json(wire.dump(named))
            return
        print_named(console, named)
        for one in named.environments:
            print_environment(console, one, {})
        return
    environment = find(what)
    if as_json:
        print_json(wire.dump(environment))
        return
    print_environment(
        console, environment, {one.name: size_of(one) for one in look().installed} if what == THIS else {}
    )


def is_name(word: str) -> bool:
    """Whether a word can be a named environment's: neither this Python nor a file that is there."""
    try:
        environment_reference(word)
    except BadRequest:
        return False
    return word != THIS and not Path(word).is_file()


def print_environment(console: Console, environment: Environment, sizes: dict[str, int | None]) -> None:
    """Print an environment by the sources of its packages."""
    print_head(console, environment)
    for source, packages in by_source(environment):
        console.print()
        console.print(Text(f"{len(packages):,} {TITLES[source]}", style="bold"))
        console.print(packages_table(packages, sizes))
    if environment.artifacts:
        console.print()
        console.print(artifacts_table(environment))


@env.command()
@click.argument("first", metavar="[A]", required=False)
@click.argument("second", metavar="[B]", required=False)
@click.option("--for", "platform", metavar="PLATFORM", help="Compare A with itself on machines such as linux-x86_64.")
@click.option("--python", metavar="X.Y", default="", help="With --for: another Python on the machines.")
@click.option("--ignore", multiple=True, metavar="PACKAGE", help="With --for: leave it out; may be given again.")
@json_option
def diff(
    first: str | None, second: str | None, platform: str | None, python: str, ignore: tuple[str, ...], as_json: bool
) -> None:
    """Compare two environments: files, clusters by name, or ``this`` Python (the default)."""
    if platform is not None:
        if second is not None:
            raise click.UsageError("--for compares one environment with what it is elsewhere: name one, or none.")
        target = Target(platform=platform, python=python)
        show_there(find(first or THIS), target, ignore, as_json=as_json)
        return
    if first is None:
        raise click.UsageError("name what to compare with: a file, a cluster, or --for PLATFORM.")
    second = second or THIS
    one, other = find(first), find(second)
    changes = compare(one, other)
    if as_json:
        print_json(wire.dump(changes))
        return
    console = open_console()
    for word, (before, after) in (("Python", changes.python), ("platform", changes.platform)):
        if before != after:
            console.print(Text.assemble((f"{word}: ", "bold"), before, " → ", after))
    if unsure := unpacked(one, other):
        names = ", ".join(unsure)
        console.print(Text(f"Only the versions are compared of {names}: what is yours is packed at a start.", QUIET))
    if not changes.packages:
        same = "the same" if one.content_hash == other.content_hash else "the same versions from the same sources"
        console.print(f"Their packages are {same}: {len(one.packages):,}.")
        return
    table = plain_table()
    table.add_column("package", no_wrap=True)
    table.add_column(first, overflow="fold")
    table.add_column(second, overflow="fold")
    for change in changes.packages:
        table.add_row(Text(change.name), *_both(change))
    console.print(table)
    count = len(changes.packages)
    console.print(f"{count:,} package{' differs' if count == 1 else 's differ'}.")


@env.command()
@click.argument("package")
@json_option
@click.pass_context
def why(ctx: click.Context, package: str, as_json: bool) -> None:
    """Say why a package is here: who requires it, from where it came, what holds its version."""
    found = look()
    reason = why_here(package, found)
    if reason is None:
        names = [*(one.name for one in found.installed), *(record.name for record in found.conda)]
        if package in names:
            raise NotFound(f"{package} was installed by conda and is no Python package: conda knows why it is there.")
        near = difflib.get_close_matches(package, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else "`tradewind env show` lists what is there."
        raise NotFound(f"{package!r} isn't installed here; {hint}")
    if as_json:
        print_json(wire.dump(reason))
    else:
        print_why(open_console(), reason)


def find(word: str) -> Environment:
    """Return the environment of this Python, of a file, of a name or of a cluster.

    Raises
    ------
    BadRequest
        The file holds none.
    NotFound
        There is no such file, name or cluster, or nothing was written down of it.
    """
    if word == THIS:
        return capture_here()
    path = Path(word)
    if path.is_file():
        try:
            return wire.load_json(Environment, path.read_bytes())
        except BadRequest as error:
            raise BadRequest(
                f"{word} holds no environment ({error}); `tradewind env capture -o FILE` writes one."
            ) from None
    if is_name(word) and (named := find_named(word)) is not None:
        if not named.environments:
            raise BadRequest(f"{named.reference} is the image {named.image}: what is in it isn't known here.")
        return named.environments[0]
    if path.suffix or len(path.parts) > 1:
        raise NotFound(f"there is no file {word}.")
    with engine(settle=False) as api:
        cluster = find_cluster(api, word)
    if cluster.environment is None:
        raise NotFound(f"what cluster {cluster.name!r} ran wasn't written down.")
    return cluster.environment


def compare(one: Environment, other: Environment) -> Changes:
    """Return what differs: versions, sources, builds, and wheels where both have them; not who asked for it."""
    before = {(p.name, p.source is Source.CONDA): p for p in one.packages}
    after = {(p.name, p.source is Source.CONDA): p for p in other.packages}
    found = []
    for key in sorted({*before, *after}):
        here, there = before.get(key), after.get(key)
        if here is None or there is None or not _is_same(here, there):
            found.append(Change(name=key[0], here=here, there=there))
    return Changes(python=(one.python, other.python), platform=(one.platform, other.platform), packages=tuple(found))


def unpacked(one: Environment, other: Environment) -> list[str]:
    """Return the names of packages of which one of the two alone has the caller's own wheel."""
    wheels = {package.name: package.artifact for package in one.packages}
    return [p.name for p in other.packages if p.name in wheels and bool(p.artifact) != bool(wheels[p.name])]


def by_source(environment: Environment) -> Iterable[tuple[Source, Sequence[Package]]]:
    """Yield the packages of each source that has any: the caller's own last, near the end of a long list."""
    for source in TITLES:
        packages = [package for package in environment.packages if package.source is source]
        if packages:
            yield source, packages


def print_head(console: Console, environment: Environment) -> None:
    """Print what it is in two lines."""
    facts = f"Python {environment.python} on {environment.platform}, {len(environment.packages):,} packages"
    console.print(Text.assemble((facts, "bold"), (f"  {environment.content_hash[:HASH_SHOWN]}", QUIET)))
    for word, addresses in (("indexes", environment.indexes), ("channels", environment.channels)):
        if addresses:
            console.print(Text(f"{word}: {', '.join(addresses)}", style=QUIET))


def packages_table(packages: Sequence[Package], sizes: dict[str, int | None]) -> Table:
    """Return packages as a table; what nobody asked for by name is quieter."""
    table = plain_table()
    table.add_column("package", no_wrap=True)
    table.add_column("version", no_wrap=True)
    table.add_column("from", overflow="fold", style=QUIET)
    if sizes:
        table.add_column("size", justify="right", no_wrap=True)
    for one in packages:
        name = one.name + (f"[{','.join(one.extras)}]" if one.extras else "")
        size = sizes.get(one.name)
        come = [one.url, one.build, "carried" if one.artifact else ""]
        cells = [
            Text(name, style="" if one.is_requested else QUIET),
            Text(one.version),
            Text(" ".join(filter(None, come))),
        ]
        table.add_row(*cells, *([bytes_text(size) if size is not None else ""] if sizes else []))
    return table


def artifacts_table(environment: Environment) -> Table:
    """Return what travels, the biggest first."""
    table = plain_table()
    table.add_column("travels", overflow="fold")
    table.add_column("size", justify="right", no_wrap=True)
    for artifact in sorted(environment.artifacts, key=lambda artifact: -artifact.size):
        table.add_row(Text(artifact.file_name), bytes_text(artifact.size))
    return table


def print_why(console: Console, reason: Why) -> None:
    """Print why a package is there."""
    come = f" ({reason.url})" if reason.url else ""
    console.print(
        Text.assemble((f"{reason.name} {reason.version}", "bold"), f"  {TITLES[Source(reason.source)]}{come}")
    )
    if reason.is_requested:
        console.print("It was asked for by name.")
    elif reason.chain:
        console.print(Text("It came with what was asked for: " + " → ".join(reason.chain)))
    if not reason.wishes:
        console.print("Nothing that is installed requires it.")
    else:
        table = plain_table()
        table.add_column("required by", no_wrap=True)
        table.add_column("which allows", overflow="fold")
        for wish in sorted(reason.wishes, key=lambda wish: bool(wish.extra)):  # those of extras may be nobody's
            by = f"{wish.by} {wish.version}" + (f", its extra {wish.extra!r}" if wish.extra else "")
            allows = Text(wish.allows or "any version", style="" if wish.is_met else "red")
            if not wish.is_met:
                allows.append(f", and {reason.version} isn't that")
            table.add_row(Text(by, style=QUIET if wish.extra else ""), allows)
        console.print(table)
    if reason.is_for_any_platform:
        console.print("Its wheel is for every platform.")
    elif reason.tags:
        console.print(Text(f"Its wheel is for one platform: {', '.join(reason.tags)}. Elsewhere it needs another."))
    else:
        console.print("For which platforms it is isn't written down.")


def _is_same(one: Package, other: Package) -> bool:
    # What is captured has no wheel of the caller's own yet: that is built when a cluster starts.
    if one.artifact and other.artifact and one.artifact != other.artifact:
        return False
    mine, theirs = ((p.version, p.source, p.url, p.build) for p in (one, other))
    return mine == theirs


def _both(change: Change) -> tuple[Text, Text]:
    cells: list[Callable[[Package], str]] = [
        lambda package: package.version,
        lambda package: package.source.value if _differ(change, "source") else "",
        lambda package: package.build if _differ(change, "build") else "",
        lambda package: package.url if _differ(change, "url") else "",
        lambda package: f"content {package.artifact[:HASH_SHOWN]}" if _differ(change, "artifact") else "",
    ]
    first, second = (
        Text("-", style=QUIET) if package is None else Text(" ".join(filter(None, (cell(package) for cell in cells))))
        for package in (change.here, change.there)
    )
    return first, second


def _differ(change: Change, field: str) -> bool:
    if change.here is None or change.there is None:
        return False
    here, there = getattr(change.here, field), getattr(change.there, field)
    return bool(here != there and (field != "artifact" or (here and there)))
