"""The tables of batch systems, and what each of their words means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

from tradewind.config.size import Size


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSettings:
    """What the tables of all batch systems have."""

    site: str | None = None
    """Site whose file holds this table, for what isn't said here: a path, or a name as "jean-zay" for
    ``sites/jean-zay.toml`` beside your settings file or in ``/etc/tradewind``; default None."""
    walltime: timedelta | None = None
    """How long a job may run, as "4 hours"; default None: what the site gives who says nothing. Workers are replaced by
    then."""
    scheduler_walltime: timedelta | None = None
    """How long a cluster's scheduler may run, which ends with its cluster; default None: as long as the partition and
    your account allow. A shorter one often starts sooner."""
    cores: int | None = None
    """Of a worker of which a call says nothing; default None: 4, or all of a node with fewer."""
    memory: Size | None = None
    """Of such a worker, as "16 GiB"; default None: the share of its node that its cores are."""
    interface: str | None = None
    """Network between nodes, as "ib0"; default None: that of the node's own name."""
    scratch: str | None = None
    """Directory on the node where workers spill, as "/tmp" or "$TMPDIR"; default None: below ``directory``."""
    directory: str | None = None
    """Directory that all nodes see, for notes and logs, and with ``login`` for software; default None: in the data
    directory, below your home, or with ``login`` ~/.cache/tradewind there."""
    directives: tuple[str, ...] = ()
    """Further options of the command that submits, as ["--exclusive"]; default none."""
    prologue: tuple[str, ...] = ()
    """Lines for the shell before Python starts, as ["module load cuda"]; default none."""
    login: str | None = None
    """Login node to submit from, reached by SSH as your SSH settings say: "me@login.example.org"; default None: this
    machine is one."""
    key: str | None = None
    """File of the private key for ``login``; default those of your SSH agent, and your usual ones."""
    known_hosts: str | None = None
    """File with the keys of hosts that are trusted; default None: ~/.ssh/known_hosts."""
    ssh_config: str | None = None
    """File with SSH settings, as jump hosts; default None: ~/.ssh/config."""
    python: str = "python3"
    """With ``login``: Python 3.9 or newer on the login node, by path or name, that needs nothing installed; default
    python3."""
    environment: str | None = None
    """With ``login``: directory of an environment there, with Tradewind in it, that jobs use as it is; default None:
    your own software is brought there."""
    tunnel: bool = True
    """Whether, with ``login``, schedulers are reached through it; default true. "false" is for nodes that this machine
    reaches by itself."""
    price_per_su: Decimal | None = None
    """What a service unit costs in money; default None: the bill is in service units."""
    currency: str = "USD"
    """Of ``price_per_su``; default USD."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlurmSettings(BatchSettings):
    """The table ``[slurm]``: jobs of a Slurm cluster, submitted from one of its login nodes."""

    partitions: tuple[str, ...] = ()
    """Where jobs may run, ``["main"]``; default none named: the site's own default. The cheapest that fits is taken."""
    account: str | None = None
    """Whose allocation is charged; default None: your own default account."""
    qos: str | None = None
    """Quality of service; default None: that of your account."""
    constraint: str | None = None
    """Features that nodes must have, as "cpu"; default None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SgeSettings(BatchSettings):
    """The table ``[sge]``: jobs of Grid Engine, submitted from one of its submit hosts."""

    queues: tuple[str, ...] = ()
    """Where jobs may run, ``["all.q"]``; default none named: those in which they may run longest."""
    project: str | None = None
    """Whose share is used; default None: your own default project."""
    parallel_environment: str | None = None
    """What gives a job several slots of one node; default None: the queue's first with the rule ``$pe_slots``."""
    memory_resource: str | None = None
    """What memory is asked by, as "h_vmem"; default None: what the site has counted. Where nothing counts it, it isn't
    asked for."""
    gpu_resource: str | None = None
    """What GPUs are asked by; default None: what the site has counted and calls gpu, gpus or ngpus."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PbsSettings(BatchSettings):
    """The table ``[pbs]``: jobs of OpenPBS, PBS Professional or Torque, submitted from one of its login nodes."""

    queues: tuple[str, ...] = ()
    """Where jobs may run, ``["workq"]``; default none named: the site's default. The cheapest that fits is taken."""
    account: str | None = None
    """Whose allocation is charged (``-A``); default None: as the site does who says nothing."""
    project: str | None = None
    """The project that is charged (``-P``), where the site goes by these; default None."""
    chunk: str | None = None
    """What a job asks of its node besides cores, memory and GPUs, as "cpu_type=rome"; default None."""
    torque: bool = False
    """Whether it is Torque, which asks for nodes in another form; default false."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LsfSettings(BatchSettings):
    """The table ``[lsf]``: jobs of IBM Spectrum LSF, submitted from one of its login nodes."""

    queues: tuple[str, ...] = ()
    """Where jobs may run, ``["normal"]``; default none named: the site's default. The cheapest that fits is taken."""
    project: str | None = None
    """The project that is charged (``-P``); default None: as the site does who says nothing."""
    select: str | None = None
    """What nodes must be or have, as "type==X86_64"; default None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HtcondorSettings(BatchSettings):
    """The table ``[htcondor]``: jobs of HTCondor, submitted from an access point, on nodes that see your files."""

    accounting_group: str | None = None
    """Whose share is used; default None: your own."""
    requirements: str | None = None
    """What nodes must be or have, as "OpSysAndVer == \"AlmaLinux9\""; default None."""
    disk: Size | None = None
    """Of the node's disk for each job, as "4 GiB"; default None: the pool's own default."""
