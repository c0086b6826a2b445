"""The tables of the settings file, and what each of their words means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from tradewind.config.batch import HtcondorSettings, LsfSettings, PbsSettings, SgeSettings, SlurmSettings
from tradewind.config.size import Size
from tradewind.model.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """The table ``[local]``: processes of this machine."""

    price_per_hour: Decimal | None = None
    """What an hour of this whole machine costs, say its electricity or the lab's rate; None (the default) is free."""
    currency: str = "USD"
    """Of ``price_per_hour``; default USD, the currency of most price lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshHost:
    """One table ``[[ssh.hosts]]``: a machine with Linux and Python 3.9 or newer that you may log in to."""

    address: str = ""
    """Name or address by which you and all other hosts reach it; must be given."""
    name: str = ""
    """What it is called here, and in ``worker_vm_types``; default its address."""
    cores: int = 0
    """How many of its cores clusters may have; must be given."""
    memory: Size = Size(0)
    """How much of its memory they may have, as "64 GiB"; must be given."""
    gpus: int = 0
    """How many GPUs they may have, the first ones; default 0."""
    user: str | None = None
    """Who logs in; default as for ``ssh``: your own name, or what your SSH settings say."""
    port: int | None = None
    """Of its SSH server; default 22, or what your SSH settings say."""
    key: str | None = None
    """File of the private key to log in with; default those of your SSH agent, and your usual ones."""
    price_per_hour: Decimal | None = None
    """What an hour of the whole machine costs; default None: unpriced."""
    currency: str = "USD"
    """Of ``price_per_hour``; default USD."""
    python: str = "python3"
    """Its Python that needs nothing installed, by path or name; default python3."""
    environment: str | None = None
    """Directory of an environment that is there already, with Tradewind in it, and is used as it is; default None: your
    own software is brought there."""
    directory: str = "~/.cache/tradewind"
    """Where everything of ours is kept there, what workers spill included; default ~/.cache/tradewind."""
    labels: tuple[str, ...] = ()
    """Words that ``worker_vm_types`` may name it by, as "fast"; default none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SshSettings:
    """The table ``[ssh]``: hosts of your own, reached by SSH."""

    hosts: tuple[SshHost, ...] = ()
    """The inventory, each host a table ``[[ssh.hosts]]`` of its own; default none."""
    placement: str = "spread"
    """"spread" gives the next instance to the host with the most free room, "pack" to the one with the least; default
    spread, so that each worker has the most of its host's disk and network."""
    known_hosts: str = "~/.ssh/known_hosts"
    """File with the keys of hosts that are trusted; default your own. What isn't in it is refused."""
    config: str = "~/.ssh/config"
    """File with SSH settings, as users, ports and jump hosts; default your own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeSettings:
    """The table ``[fake]``: an infrastructure that exists in memory, for plans and tests."""

    latency_s: float = 0.0
    """Seconds from a launch to a running instance; default 0."""
    world: str | None = None
    """Address of the process that keeps the world, as 127.0.0.1:8900; None (the default) is the engine's own memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftwareSettings:
    """The table ``[software]``: what of the caller's packages travels to machines that have none of them."""

    public_indexes: tuple[str, ...] = ()
    """Addresses of package indexes, besides PyPI, that machines can ask without a password; default none, so that
    packages of other indexes travel from here."""
    artifacts_url: str | None = None
    """Where files for machines are kept, with what the first of them packed for the others: file:///shared/depot,
    s3://bucket/prefix, gs://… or az://…, reached as this program may. Default None: each machine is given its files
    from here, and installs by itself."""
    artifacts_urls: Mapping[str, str] = field(default_factory=dict)
    """The same for some workspaces of a server, by their names, in place of ``artifacts_url``; default none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistorySettings:
    """The table ``[history]``: what is kept of computations."""

    record: bool = True
    """Whether computations are kept (counts, times, bytes, errors; no code); default true."""
    code: bool = False
    """Whether their code is kept too, capped and with secrets scrubbed; default false, since others may read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """The table ``[serve]``: what ``tradewind serve`` does; of no use to those who only call a server."""

    host: str = "127.0.0.1"
    """Address to listen on; default this machine alone. "0.0.0.0" is everybody who reaches it."""
    port: int = 8886
    """Port to listen on; default 8886."""
    public_url: str | None = None
    """How people reach it, where a proxy stands in front: https://tradewind.example.org; default host and port."""
    tls: bool = True
    """Whether it speaks TLS itself; default true. "false" is for a proxy on the same machine that does."""
    certificate: str | None = None
    """PEM file of its certificate; default None: one of its own authority, made in the data directory."""
    key: str | None = None
    """PEM file of the key of ``certificate``."""
    providers: tuple[str, ...] = ()
    """Where its people may run clusters; default none named: all that need no setting up, and "local" only while it
    listens on this machine alone, since local clusters run as the server's own user."""
    requests_per_second: float = 50.0
    """How much one token may ask, on average; default 50, some hundred times what a notebook does."""
    burst: int = 200
    """How much it may ask at once; default 200."""
    body_limit: int = 1024 * 1024
    """Bytes of a request that are read at most; default 1 MiB, some three times the largest honest one: a cluster with
    a thousand conda packages. Named environments, for several platforms, may have 8 MiB in any case."""
    log_format: str = "text"
    """"text" for people or "json" for programs; default text."""
    open_metrics: bool = False
    """Whether everybody who reaches it may read /metrics; default false: this machine and operators may."""
    open_advisor: bool = True
    """Whether everybody who reaches it may read the advisor's pages, which hold nothing of anybody's workspace; default
    true. "false" is for those alone who are signed in."""
    otlp_endpoint: str | None = None
    """Where OpenTelemetry traces go, as http://localhost:4318/v1/traces; default None sends none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcSettings:
    """The table ``[oidc]``: sign-in with an OpenID provider, as CILogon, Keycloak, or GitHub through a broker."""

    issuer: str | None = None
    """Its URL, below which ``.well-known/openid-configuration`` stands; default None: no such sign-in."""
    client_id: str | None = None
    """Given by the provider when this server was registered there."""
    client_secret: Secret | None = None
    """Given with ``client_id``; better in ``TRADEWIND_OIDC__CLIENT_SECRET`` than in a file that others read."""
    name: str = "your institution"
    """What the button says after "Sign in with"; default "your institution"."""
    name_claim: str = "preferred_username"
    """Which claim becomes a new user's name; default preferred_username, then the part of the e-mail before the @."""
    open_to: tuple[str, ...] = ()
    """Who may sign in without an invitation: e-mail domains as "example.edu"; default none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JupyterHubSettings:
    """The table ``[jupyterhub]``: users of a JupyterHub are let in with the token that their notebook has."""

    api_url: str | None = None
    """The hub's API as this server reaches it: http://hub:8081/hub/api; default None: no such sign-in."""
    workspace: str | None = None
    """The workspace that every user of the hub is a member of; default None: they need an invitation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSettings:
    """The table ``[mail]``: how notifications reach people."""

    host: str | None = None
    """The SMTP server; default None sends no mail."""
    port: int = 587
    """Its port; default 587, with STARTTLS."""
    user: str | None = None
    """Who signs in there; default nobody does."""
    password: Secret | None = None
    """Of ``user``."""
    sender: str = "tradewind@localhost"
    """The From of every mail."""
    starttls: bool = True
    """Whether the line is made secret before anything is said; default true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """The table ``[webhooks]``: notifications to programs."""

    private_addresses: bool = False
    """Whether they may go to this machine and to private networks; default false, since who may set a webhook could
    else reach what only the server reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, with their defaults."""

    provider: str = "local"
    """Where clusters run when a call doesn't say; default local, which needs nothing set up."""
    workspace: str = "default"
    """Who shares and pays when a call doesn't say; default "default", the one of solo use."""
    server: str | None = None
    """URL of the server that runs clusters, or "solo" for the engine in the caller's own process. None (the default) is
    the server that the user is signed in to (``tradewind login``), and "solo" where there is none."""
    store: str | None = None
    """URL of the store, as postgresql://tradewind@db/tradewind; None (the default) is an SQLite file in the user's data
    directory."""
    wait_for_workers: float = 0.3
    """Share of the workers that must be there before ``Cluster(...)`` returns; default 0.3, as Coiled's."""
    idle_timeout: timedelta | None = timedelta(minutes=20)
    """A cluster without a task for this long ends; default 20 min, "off" for never."""
    orphan_timeout: timedelta = timedelta(minutes=10)
    """A cluster that nobody looks after for this long ends; default 10 min, long enough for a laptop's short sleep."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """Given to every cluster; a call's own tags win. Default none."""
    history: HistorySettings = field(default_factory=HistorySettings)
    software: SoftwareSettings = field(default_factory=SoftwareSettings)
    local: LocalSettings = field(default_factory=LocalSettings)
    sge: SgeSettings = field(default_factory=SgeSettings)
    slurm: SlurmSettings = field(default_factory=SlurmSettings)
    pbs: PbsSettings = field(default_factory=PbsSettings)
    lsf: LsfSettings = field(default_factory=LsfSettings)
    htcondor: HtcondorSettings = field(default_factory=HtcondorSettings)
    ssh: SshSettings = field(default_factory=SshSettings)
    fake: FakeSettings = field(default_factory=FakeSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)
    oidc: OidcSettings = field(default_factory=OidcSettings)
    jupyterhub: JupyterHubSettings = field(default_factory=JupyterHubSettings)
    mail: MailSettings = field(default_factory=MailSettings)
    webhooks: WebhookSettings = field(default_factory=WebhookSettings)
