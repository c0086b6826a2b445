"""``tradewind setup``: settings for an infrastructure, found by asking it."""

from __future__ import annotations

import asyncio
import getpass
import importlib
import os
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import click

from tradewind import wire
from tradewind.cli.terminal import json_option, print_json
from tradewind.config import config_file, data_directory, load_settings
from tradewind.config.sites import SHARED, directories, is_path
from tradewind.errors import BadRequest
from tradewind.providers.base import ProviderSettings
from tradewind.providers.batch.chosen import place_from
from tradewind.providers.batch.setup import Survey, compose, compose_site


@click.group()
def setup() -> None:
    """Find out what an infrastructure has for you, and write it as settings."""


def _ask(table: str, system: str) -> click.Command:
    @setup.command(table, help=f"Ask {system} what it has for you, and make the table [{table}] of it, with comments.")
    @click.option("--write", is_flag=True, help="Add it to your settings file; by default it is printed.")
    @click.option(
        "--login",
        metavar="USER@HOST",
        help="Ask on this login node, by SSH; by default on that of your settings, or else on this machine.",
    )
    @click.option(
        "--save",
        metavar="SITE",
        help="Write it, without what is only yours, as a site for others: a file (site.toml), or a name among yours.",
    )
    @json_option
    def one(write: bool, login: str | None, save: str | None, as_json: bool) -> None:
        if write and save:
            raise BadRequest("--write is for your own settings and --save for others': give one of them")
        found = asyncio.run(_survey(table, login))
        if as_json:
            print_json(wire.dump(found))
            return
        if save:
            _save(found, save)
            return
        text = compose(found)
        if not write:
            click.echo(text, nl=False)
            return
        file = config_file()
        _add(file, text, table)
        click.echo(f"Written to {file}; `tradewind doctor` says whether it works.")

    return one


SYSTEMS = {"htcondor": "HTCondor", "lsf": "LSF", "pbs": "PBS or Torque", "sge": "Grid Engine", "slurm": "Slurm"}
"""By the table of the settings, which is the provider's name too."""
for _table, _system in SYSTEMS.items():
    _ask(_table, _system)


async def _survey(table: str, login: str | None) -> Survey:
    # The one that is asked for alone: providers don't know each other, and nobody pays for all.
    asked = importlib.import_module(f"tradewind.providers.{table}.setup")
    options = asdict(getattr(load_settings(), table))
    if login:
        options["login"] = login
    there = str(options["login"] or "")
    # Nothing is submitted, so it is of no matter whose installation it is.
    settings = ProviderSettings(installation="", state_directory=str(data_directory()), options=options)
    place = place_from(table, settings, asked.QUEUE)
    try:
        await place.open()
        user = await place.user() if there else getpass.getuser()
        found: Survey = await asked.survey(place.runner, user, {} if there else os.environ)
    finally:
        await place.aclose()
    return replace(found, login=there)


def _add(file: Path, text: str, table: str) -> None:
    """Add a table to a settings file. Raises BadRequest where it has one already."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    if table in tomllib.loads(before):
        raise BadRequest(f"{file} has a table [{table}] already: print the new one without --write and choose yourself")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{before.rstrip()}\n\n{text}" if before.strip() else text, encoding="utf-8")


def _save(found: Survey, site: str) -> None:
    """Write a site's file. Raises BadRequest where there is one already."""
    own = directories(config_file())[0]
    file = Path(site).expanduser().absolute() if is_path(site) else own / f"{site}.toml"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as new:
            new.write(compose_site(found, file.stem))
    except FileExistsError:
        raise BadRequest(f"{file} is there already: choose another name, or remove it") from None
    except OSError as error:
        raise BadRequest(f"{file} can't be written: {error.strerror}; choose another place") from None
    click.echo(
        f"Written to {file}. In {own}, or for everybody in {SHARED}, it is read where [{found.table}] has "
        f'site = "{file.stem}".'
    )
