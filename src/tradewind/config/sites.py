"""Sites as files: what holds for everybody at a machine, shared by those who compute there."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tradewind.errors import ConfigError

SHARED = Path("/etc/tradewind/sites")
"""Where a machine's administrators put files of sites for all of its users."""
PERSONAL = ("key", "known_hosts", "ssh_config")
"""Settings that are a person's own: whom to trust, and as whom to come, isn't learned from somebody else's file."""


def directories(file: Path) -> tuple[Path, Path]:
    """Return where sites are looked for by name, first match wins: beside the settings ``file``, then for all users."""
    return file.parent / "sites", SHARED


def is_path(site: str) -> bool:
    """Whether it says where a file is, and isn't the name of a site."""
    return "/" in site or site.endswith(".toml")


def read_site(site: str, table: str, file: Path) -> tuple[Path, Mapping[str, Any]]:
    """Return the file of a site, and its table of this name.

    Parameters
    ----------
    site : str
        Its name, or the path of its file; one that isn't absolute is seen from where the settings file is.
    table : str
        Of the settings, as "slurm".
    file : Path
        The settings file.

    Raises
    ------
    ConfigError
        There is no such site, its file isn't one, or says what isn't a site's to say; names what there is.
    """
    there = file.parent / Path(site).expanduser() if is_path(site) else _found(site, table, file)
    where = f"the site {site!r} of [{table}]"
    try:
        text = there.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{there}, {where}, isn't valid TOML: {error}. Mend that line.") from None
    except OSError as error:
        raise ConfigError(f"{there}, {where}, can't be read: {error.strerror}. Mend [{table}] site.") from None
    words = tables.get(table)
    if not isinstance(words, Mapping):
        has = ", ".join(f"[{name}]" for name in tables) or "nothing"
        raise ConfigError(f"{there}, {where}, has no table [{table}]; it has: {has}.")
    other = [f"[{name}]" for name in tables if name != table] + [f"{k!r}" for k in (*PERSONAL, "site") if k in words]
    if "@" in str(words.get("login", "")):
        other.append("a 'login' with a person's name")
    if other:
        raise ConfigError(f"{there}, {where}, says what isn't a site's to say: {', '.join(other)}. Take it out there.")
    return there, words


def _found(site: str, table: str, file: Path) -> Path:
    looked = directories(file)
    for directory in looked:
        if (directory / f"{site}.toml").is_file():
            return directory / f"{site}.toml"
    names = sorted({one.stem for directory in looked for one in _files(directory)})
    near = difflib.get_close_matches(site, names, n=1)
    hint = f"did you mean {near[0]!r}? There are" if near else "there are"
    raise ConfigError(
        f"[{table}] site: there is no site {site!r}; {hint}: {', '.join(names) or 'none at all'}. Looked for in "
        f"{' and '.join(map(str, looked))}: put its file there, or leave [{table}] site out."
    )


def _files(directory: Path) -> list[Path]:
    try:
        return [one for one in directory.iterdir() if one.suffix == ".toml"]
    except OSError:
        return []  # it isn't there, or isn't for this user
