"""Where settings and what is kept for them lie, for this user on this machine."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from tradewind.model.environment import Artifact


def config_file() -> Path:
    """Return where the settings file is looked for (``TRADEWIND_CONFIG_DIR`` moves it)."""
    base = os.environ.get("TRADEWIND_CONFIG_DIR")
    return (Path(base).expanduser() if base else platformdirs.user_config_path("tradewind")) / "config.toml"


def data_directory() -> Path:
    """Return where the store and the logs of local processes are kept (``TRADEWIND_DATA_DIR`` moves it)."""
    base = os.environ.get("TRADEWIND_DATA_DIR")
    # Absolute: a program that changes its directory afterwards must not find another store.
    return Path(base).expanduser().absolute() if base else platformdirs.user_data_path("tradewind")


def cache_directory() -> Path:
    """Return where is kept what can be made again (``TRADEWIND_CACHE_DIR`` moves it)."""
    base = os.environ.get("TRADEWIND_CACHE_DIR")
    return Path(base).expanduser().absolute() if base else platformdirs.user_cache_path("tradewind")


def artifact_file(artifact: Artifact) -> Path:
    """Return where a file of the caller's own code is kept for machines to have; it need not be there."""
    return cache_directory() / "artifacts" / artifact.sha256 / artifact.file_name
