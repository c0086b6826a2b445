"""The hosts there are, as the settings say, checked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tradewind.config import SshHost
from tradewind.errors import ConfigError, NotSetUp
from tradewind.model.instance import Role
from tradewind.model.resources import Resources

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
ADDRESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,252}")
PLACEMENTS = ("spread", "pack")
ANY_HOST = "host"
"""What an offer is called that any of several hosts can keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What an instance takes of its host."""

    cpus: float = 0.0
    memory: int = 0
    """Bytes."""
    gpus: int = 0

    def __add__(self, other: Share) -> Share:
        """Return both together."""
        return Share(cpus=self.cpus + other.cpus, memory=self.memory + other.memory, gpus=self.gpus + other.gpus)

    def __sub__(self, other: Share) -> Share:
        """Return this without the other."""
        return Share(cpus=self.cpus - other.cpus, memory=self.memory - other.memory, gpus=self.gpus - other.gpus)


def share_of(resources: Resources, role: Role) -> Share:
    """Return what an instance of these resources takes; a scheduler runs beside the workers and takes nothing."""
    if role is Role.SCHEDULER:
        return Share()
    return Share(cpus=resources.cpus, memory=resources.memory, gpus=resources.gpus)


def fits(host: SshHost, share: Share, taken: Share = Share()) -> bool:  # noqa: B008 - it is frozen
    """Whether there is room for ``share`` beside what is ``taken``."""
    together = share + taken
    return together.cpus <= host.cores + 1e-6 and together.memory <= host.memory and together.gpus <= host.gpus


def how_many(host: SshHost, share: Share) -> int:
    """Return how many such shares an empty host has room for."""
    rooms = [int((host.cores + 1e-6) / share.cpus)] if share.cpus else []
    rooms += [host.memory // share.memory] if share.memory else []
    rooms += [host.gpus // share.gpus] if share.gpus else []
    return min(rooms)


def hosts_from(options: Mapping[str, object]) -> tuple[SshHost, ...]:
    """Return the inventory in the table ``[ssh]``.

    Raises
    ------
    NotSetUp
        There is none.
    ConfigError
        A host can't be used; names it and what to write.
    """
    tables: Sequence[Any] = options.get("hosts") or ()  # type: ignore[assignment]
    if not tables:
        raise NotSetUp(
            "the provider 'ssh' has no hosts: write one table [[ssh.hosts]] for each into the settings file, "
            'with its address, cores = 16 and memory = "64 GiB"'
        )
    if options.get("placement", "spread") not in PLACEMENTS:
        raise ConfigError(f"[ssh] placement is {options['placement']!r}; it must be one of {', '.join(PLACEMENTS)}")
    hosts = tuple(_checked(SshHost(**table)) for table in tables)
    names = [host.name for host in hosts]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError(f"[[ssh.hosts]]: two hosts are called {twice[0]!r}; give one of them another name")
    clash = sorted({label for host in hosts for label in host.labels} & {*names, ANY_HOST})
    if clash:
        raise ConfigError(f"[[ssh.hosts]]: {clash[0]!r} is a label and the name of a host; take another label")
    return hosts


def _checked(host: SshHost) -> SshHost:
    name = host.name or host.address
    if not ADDRESS.fullmatch(host.address):
        raise ConfigError(f"[[ssh.hosts]]: address is {host.address!r}; write the name or the address of a machine")
    if not NAME.fullmatch(name) or name == ANY_HOST:
        raise ConfigError(f"[[ssh.hosts]]: {name!r} can't be a name: take letters, digits, '-', '_' or '.'")
    if host.cores < 1 or host.memory < 1:
        raise ConfigError(f'[[ssh.hosts]] {name}: say what clusters may have of it, as cores = 16, memory = "64 GiB"')
    if host.environment is not None and not host.environment.startswith("/"):
        raise ConfigError(f"[[ssh.hosts]] {name}: environment is {host.environment!r}; write its absolute path there")
    return replace(host, name=name)
