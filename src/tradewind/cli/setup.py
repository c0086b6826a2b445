"""``tradewind setup``: settings for an infrastructure, found by asking it."""

from __future__ import annotations

import asyncio
import getpass
import os
import shutil
import tomllib
from pathlib import Path

import click

from tradewind.config import config_file
from tradewind.errors import BadRequest, NotSetUp
from tradewind.providers.slurm.queue import PROGRAMS
from tradewind.providers.slurm.setup import compose, survey


@click.group()
def setup() -> None:
    """Find out what an infrastructure has for you, and write it as settings."""


@setup.command()
@click.option("--write", is_flag=True, help="Add it to your settings file; by default it is printed.")
def slurm(write: bool) -> None:
    """Ask Slurm for partitions, limits and accounts, and make the table [slurm] of it, with comments."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise NotSetUp(f"{', '.join(missing)} isn't on this machine's PATH: run this on a login node of the cluster")
    text = compose(asyncio.run(survey(getpass.getuser(), os.environ)))
    if not write:
        click.echo(text, nl=False)
        return
    file = config_file()
    _add(file, text)
    click.echo(f"Written to {file}; `tradewind doctor` says whether it works.")


def _add(file: Path, text: str) -> None:
    """Add a table to a settings file. Raises BadRequest where it has one already."""
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    if "slurm" in tomllib.loads(before):
        raise BadRequest(f"{file} has a table [slurm] already: print the new one without --write and choose yourself")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{before.rstrip()}\n\n{text}" if before.strip() else text, encoding="utf-8")
