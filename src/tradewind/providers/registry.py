"""Which providers there are, and how to open one without importing the others."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from types import MappingProxyType

from tradewind.errors import BadRequest, MissingExtra
from tradewind.providers.base import Provider, ProviderSettings

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "fake": "tradewind.providers.fake:FakeProvider",
        "htcondor": "tradewind.providers.htcondor:HtcondorProvider",
        "local": "tradewind.providers.local:LocalProvider",
        "lsf": "tradewind.providers.lsf:LsfProvider",
        "pbs": "tradewind.providers.pbs:PbsProvider",
        "sge": "tradewind.providers.sge:SgeProvider",
        "slurm": "tradewind.providers.slurm:SlurmProvider",
        "ssh": "tradewind.providers.ssh:SshProvider",
    }
)
"""Where each one lives, as ``module:class``."""


def known() -> tuple[str, ...]:
    """Return the names that :func:`open_provider` knows, sorted."""
    return tuple(sorted(PROVIDERS))


def find_provider(name: str, *, providers: Mapping[str, str] = PROVIDERS) -> type[Provider]:
    """Return the class of this name, whose facts can be read without opening it; imports it alone.

    Parameters
    ----------
    name : str
        As in ``Cluster(provider=…)``.
    providers : mapping of str to str
        Where each one lives, as ``module:class``.

    Raises
    ------
    BadRequest
        There is no provider of this name; the message lists those there are.
    MissingExtra
        A library it needs isn't installed; the message holds the command that installs it.
    """
    if name not in providers:
        near = difflib.get_close_matches(name.lower(), providers, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise BadRequest(f"there is no provider {name!r}; {hint}known are: {', '.join(sorted(providers))}.")
    module_name, _, class_name = providers[name].partition(":")
    try:
        # The one lazy import: nobody pays for the libraries of infrastructures that aren't used.
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing.split(".")[0] == "tradewind":
            raise
        raise MissingExtra(
            f"the provider {name!r} needs the library {missing!r}, which isn't installed: "
            f"pip install 'tradewind[{name}]'"
        ) from error
    provider: type[Provider] = getattr(module, class_name)
    return provider


def open_provider(name: str, settings: ProviderSettings, *, providers: Mapping[str, str] = PROVIDERS) -> Provider:
    """Return the provider of this name; imports it alone, starts nothing and uses no network.

    Parameters
    ----------
    name : str
        As in ``Cluster(provider=…)``.
    settings : ProviderSettings
        What it is made from.
    providers : mapping of str to str
        Where each one lives, as ``module:class``.

    Raises
    ------
    BadRequest, MissingExtra
        As for :func:`find_provider`.
    ConfigError
        Its settings can't be used.
    """
    return find_provider(name, providers=providers).from_settings(settings)
