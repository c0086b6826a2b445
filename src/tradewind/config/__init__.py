"""Settings: what an installation decided once.

Read from ``config.toml`` in the user's configuration directory, then from variables ``TRADEWIND_…`` (two underscores
go one table down: ``TRADEWIND_LOCAL__PRICE_PER_HOUR=0.12``), which win. A keyword of a call wins over both.
The table of a batch system may name a site, whose file is read below both.
"""

from tradewind.config.batch import (
    BatchSettings,
    HtcondorSettings,
    LsfSettings,
    PbsSettings,
    SgeSettings,
    SlurmSettings,
)
from tradewind.config.places import artifact_file, cache_directory, config_file, data_directory
from tradewind.config.reading import load_settings, parse_duration, parse_size, read_options
from tradewind.config.settings import (
    FakeSettings,
    HistorySettings,
    JupyterHubSettings,
    LocalSettings,
    MailSettings,
    OidcSettings,
    ServeSettings,
    Settings,
    SoftwareSettings,
    SshHost,
    SshSettings,
    WebhookSettings,
)
from tradewind.config.size import Size

__all__ = [
    "BatchSettings",
    "FakeSettings",
    "HistorySettings",
    "HtcondorSettings",
    "JupyterHubSettings",
    "LocalSettings",
    "LsfSettings",
    "MailSettings",
    "OidcSettings",
    "PbsSettings",
    "ServeSettings",
    "Settings",
    "SgeSettings",
    "Size",
    "SlurmSettings",
    "SoftwareSettings",
    "SshHost",
    "SshSettings",
    "WebhookSettings",
    "artifact_file",
    "cache_directory",
    "config_file",
    "data_directory",
    "load_settings",
    "parse_duration",
    "parse_size",
    "read_options",
]
