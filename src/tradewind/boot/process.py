"""Everything one Dask process needs to know to start, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tradewind.model.environment import Environment
from tradewind.model.instance import Role
from tradewind.model.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A certificate with its private key, both PEM, and the authority that signed it."""

    authority: str
    """PEM certificate of the cluster's own authority."""
    certificate: str
    key: Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Publishing:
    """Where a machine that has made an environment puts what others can use of it, packed."""

    archive: str
    """An address that takes one PUT, or a ``file://`` address in a directory that is there."""
    record: str
    """The same, for a few words of JSON on the archive: its ``name``, ``sha256`` and ``size``."""
    name: str
    """What the record calls the archive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Software:
    """What a machine must have before an instance can start on it, and where that is to be had."""

    environment: Environment
    files: Mapping[str, str] = field(default_factory=dict)
    """Where each artifact of the environment is read, by its sha256: ``https://…``, an absolute path of the machine
    that gives the order, or ``file://…``, a path that others may see too. What the machine doesn't see the provider
    brings over, and tells the machine its own path."""
    base: str = ""
    """Hash of the packages that aren't the caller's own; empty where all are packed together."""
    archive: str = ""
    """Where those lie packed, once somebody has packed them; empty: nowhere."""
    archive_sha256: str = ""
    """Of it; without it, it isn't used."""
    publishing: Publishing | None = None
    """What is done once the instance runs; None where it is done already, or nobody would find it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """What one instance needs to start. It holds secrets: it goes over channels only its user can read."""

    role: Role
    cluster_id: str
    instance_id: str
    """Also the Dask worker's name."""
    keys: KeyPair
    agent_token: Secret
    """Bearer token of the agent's JSON pages; the scheduler's alone."""
    threads: int
    memory: int
    """Bytes; the limit of the process."""
    gpus: int = 0
    environ: Mapping[str, str] = field(default_factory=dict)
    dask_config: Mapping[str, object] = field(default_factory=dict)
    options: Mapping[str, object] = field(default_factory=dict)
    """Further keywords for ``distributed.Scheduler`` or ``distributed.Worker``."""
    working_directory: str | None = None
    python_path: tuple[str, ...] = ()
    orphan_timeout_s: float = 600.0
    """A scheduler whose page nobody pulled for this long ends."""
    paid_for_s: float | None = None
    """A scheduler ends after this, unless a pull of its page says for how long more is paid; None is for ever."""
    expires_at: datetime | None = None
    """Hard end, enforced where the process runs."""
    scheduler_address: str | None = None
    """For a worker, where it is known before launch; else the provider tells it later."""
    record_history: bool = True
    record_code: bool = False
    software: Software | None = None
    """None is the Python that gives the order, which is there as well."""
