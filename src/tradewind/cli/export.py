"""``tradewind export``: everything of a workspace, to take elsewhere."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click

from tradewind.cli.terminal import engine
from tradewind.errors import BadRequest

ZIP = ".zip"


@click.command()
@click.argument("where", metavar="DIR|FILE.zip", type=click.Path(path_type=Path))
def export(where: Path) -> None:
    """Write all that your workspace has, as JSON lines: into a directory, or a ZIP.

    Clusters, instances, usage, events, computations, budgets, members, audit log, and a README with the schema. No
    secrets: no keys, no tokens, no values of environment variables.
    """
    if where.suffix.lower() == ZIP:
        write(where, "everything")
    else:
        where.mkdir(parents=True, exist_ok=True)
        if any(where.iterdir()):
            raise BadRequest(f"{where} isn't empty: name a new directory, or a file that ends with {ZIP}")
        with tempfile.TemporaryDirectory(dir=where) as directory:
            packed = Path(directory) / "everything.zip"
            write(packed, "everything")
            with zipfile.ZipFile(packed) as archive:
                archive.extractall(where)
    click.echo(f"Written to {where}.")


def write(to: Path, what: str, since: datetime | None = None, until: datetime | None = None) -> None:
    """Write an export; the file is there when it is whole, and only then."""
    with whole(to) as part, engine() as api:
        api.run(api.export(what, part, since=since, until=until))


@contextmanager
def whole(to: Path) -> Iterator[Path]:
    """Yield a place beside ``to`` that takes its place in the end, or is gone."""
    if not to.parent.is_dir():
        raise BadRequest(f"there is no directory {to.parent}: make it, or name another file")
    handle, name = tempfile.mkstemp(dir=to.parent, prefix=f".{to.name}.")  # readable by this user alone
    os.close(handle)
    try:
        yield Path(name)
        Path(name).replace(to)
    finally:
        Path(name).unlink(missing_ok=True)
