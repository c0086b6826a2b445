"""Which place a provider's jobs are submitted from: this machine, or a login node."""

from __future__ import annotations

import os
from pathlib import Path

from tradewind.errors import MissingExtra
from tradewind.providers.base import ProviderSettings
from tradewind.providers.batch.books import Books
from tradewind.providers.batch.place import Here, Place, plain
from tradewind.providers.batch.queue import Queue
from tradewind.providers.batch.runner import Runner, require


def place_from(name: str, settings: ProviderSettings, queue: Queue) -> Place:
    """Return where a provider's jobs are submitted from, as its settings say; asks nothing yet.

    Parameters
    ----------
    name : str
        Of the provider.
    settings : ProviderSettings
        Its own table of the settings.
    queue : Queue
        The dialect.

    Raises
    ------
    NotSetUp
        It is this machine, which has none of the system's commands.
    ConfigError
        Its directory has a name that batch systems misread.
    MissingExtra
        It is to be reached by SSH, and the library for that isn't installed.
    """
    table = settings.options
    if not table.get("login"):
        require(queue)
        root = str(table.get("directory") or "") or os.path.join(settings.state_directory, name)
        return Here(Books(Path(plain(str(Path(root).expanduser().absolute()), name))), Runner(queue.prints))
    try:
        # Whoever is on the login node doesn't pay for what it takes to reach it.
        from tradewind.providers.batch.login import LoginNode  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingExtra(
            f"[{name}] login needs the library {error.name!r}, which isn't installed: pip install 'tradewind[ssh]'"
        ) from error
    return LoginNode(name, settings, queue.prints)
