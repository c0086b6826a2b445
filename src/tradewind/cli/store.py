"""``tradewind store``: is it whole, a copy of it, and the way back."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import Any

import click

from tradewind.cli.terminal import json_option, print_json
from tradewind.config import data_directory, load_settings

url_option = click.option("--store", "url", help="URL of the store; default the one in the settings, or your own file.")


@click.group()
def store() -> None:
    """The database that keeps all there is to know: check it, copy it, bring a copy back."""


@store.command()
@url_option
@json_option
@click.pass_context
def check(ctx: click.Context, url: str | None, as_json: bool) -> None:
    """Read all of the store, bring its tables up to date where need be, and say if anything is damaged."""
    place = _place(url)
    faults: tuple[str, ...] = ()
    if (file := _backup().file_of(place)) is not None and file.exists():
        faults = _backup().check(file)
    named = str(file) if faults else asyncio.run(_opened(place))
    if as_json:
        print_json({"store": named, "faults": list(faults)})
    else:
        click.echo("\n".join([f"{named}: it is damaged", *faults]) if faults else f"{named}: all is well")
    if faults:
        ctx.exit(1)


@store.command()
@click.argument("file", type=click.Path(path_type=Path))
@url_option
def backup(file: Path, url: str | None) -> None:
    """Write a copy of the store to FILE, as of this moment; clusters may run meanwhile.

    A store on PostgreSQL is copied with pg_dump.
    """
    _backup().back_up(_place(url), file.absolute())
    click.echo(f"{file}: a copy of the store, {file.stat().st_size / 2**20:.1f} MiB. It holds keys: keep it private")


@store.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@url_option
def restore(file: Path, url: str | None) -> None:
    """Make the store from FILE, a copy that `backup` made; of an earlier version too.

    There must be no store yet: move a damaged one away first. A store on PostgreSQL is restored with pg_restore.
    """
    place = _place(url)
    _backup().restore(file.absolute(), place)
    click.echo(f"{asyncio.run(_opened(place))}: restored from {file}")


def _place(url: str | None) -> str | Path:
    return url or load_settings().store or data_directory() / "tradewind.db"


def _backup() -> Any:
    return importlib.import_module("tradewind.store.backup")  # the store's library takes half a second to import


async def _opened(place: str | Path) -> str:
    opened = await importlib.import_module("tradewind.store.store").Store.open(place)
    await opened.aclose()
    return str(opened.place)
