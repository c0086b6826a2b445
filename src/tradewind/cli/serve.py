"""``tradewind serve``: the shared server."""

from __future__ import annotations

import asyncio
import importlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from tradewind.config import data_directory, load_settings
from tradewind.errors import MissingExtra

if TYPE_CHECKING:
    from tradewind.server.run import Started


@click.command()
@click.option("--host", help='Address to listen on; default this machine alone, "0.0.0.0" is every one it has.')
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 is any that is free. Default 8886.")
@click.option("--store", help="URL of the store, as postgresql://tradewind@db/tradewind; default a file.")
@click.option(
    "--provider", "providers", multiple=True, help="Where people may run clusters; may be given several times."
)
@click.option("--public-url", help="How people reach it, where a proxy stands in front.")
@click.option("--no-tls", is_flag=True, help="Speak plain HTTP: for a proxy on this machine that speaks TLS.")
@click.option(
    "--sign-in-link",
    "name",
    metavar="NAME",
    help="Serve nothing: print a link that signs this user in once, within a day, for who lost their last token. "
    "Whoever has it is that user.",
)
@click.option("--log-format", type=click.Choice(["text", "json"]), help="Lines for people or for programs.")
def serve(
    host: str | None,
    port: int | None,
    store: str | None,
    providers: tuple[str, ...],
    public_url: str | None,
    no_tls: bool,
    name: str | None,
    log_format: str | None,
) -> None:
    """Look after the clusters of a group: an API and pages in front of the same engine that runs alone.

    What is left out is read from [serve] in the settings file, and from variables TRADEWIND_SERVE__….
    """
    settings = load_settings()
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "providers": providers or None,
        "public_url": public_url,
        "tls": False if no_tls else None,
        "log_format": log_format,
    }
    chosen = replace(settings.serve, **{name: value for name, value in given.items() if value is not None})
    settings = replace(settings, serve=chosen, store=store or settings.store)
    if name is not None:
        link = asyncio.run(_server().sign_in_link(settings, data_directory(), name))
        click.echo(link.reveal())
        click.echo(f"It signs in as {name}, once, within a day. It isn't shown again.", err=True)
        return
    run = _server()
    importlib.import_module("tradewind.server.logs").begin(settings.serve.log_format)
    asyncio.run(run.serve(settings, data_directory(), _tell))


def _server() -> Any:
    try:
        return importlib.import_module("tradewind.server.run")  # half a second that no other command should pay
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("tradewind"):
            raise
        raise MissingExtra(
            f"the server needs the library {error.name!r}, which isn't installed: pip install 'tradewind[server]'"
        ) from error


def _tell(started: Started) -> None:
    click.echo(f"Tradewind serves at {started.url}")
    if started.fingerprint is not None:
        click.echo(f"  certificate  {started.fingerprint} (sha256)")
    click.echo(f"  store        {started.store}")
    click.echo(f"  providers    {', '.join(started.providers)}")
    if started.welcome is not None:
        click.echo(f"Become its first admin within a day, by this link that works once:\n  {started.welcome.reveal()}")
