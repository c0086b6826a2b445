"""What signing in left behind: for each server its token and whom to trust, in a file only its user can read."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from tradewind.config import config_file
from tradewind.errors import BadRequest, ConfigError
from tradewind.model.secret import Secret

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What is known of one server."""

    token: Secret | None = None
    """None after signing out."""
    user: str = ""
    workspace: str | None = None
    """Where commands and clusters go when they don't say; None is none chosen yet."""
    authority: str | None = None
    """PEM of what signs the server's certificate, pinned at first contact; None trusts what this machine trusts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Everything in the file."""

    current: str | None = None
    """URL of the server that is used when nobody says; None is none."""
    logins: Mapping[str, Login] = field(default_factory=dict)
    """By URL, as :func:`server_url` writes it."""

    def of(self, url: str) -> Login:
        """Return what is known of a server; of a stranger, nothing."""
        return self.logins.get(url, Login())

    def with_login(self, url: str, login: Login, *, current: bool = False) -> Credentials:
        """Return these with a server's entry replaced."""
        return replace(self, logins={**self.logins, url: login}, current=url if current else self.current)


def server_url(text: str) -> str:
    """Return the one way to write the URL of a server: scheme, host and port.

    Raises
    ------
    BadRequest
        It is no URL of a server, or one on which a token would travel in the clear.
    """
    try:
        parts = urlsplit(text.strip() if "://" in text else f"https://{text.strip()}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if host is None or parts.scheme not in {"https", "http"} or parts.username is not None:
        raise BadRequest(f"{text!r} isn't the address of a server: write it as https://tradewind.example.org.")
    if parts.scheme == "http" and host not in LOOPBACK:
        raise BadRequest(f"{text!r} would carry your token in the clear: write https://{parts.netloc}.")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")


def is_here(url: str) -> bool:
    """Whether a server runs on this machine, and so sees the files that the caller sees."""
    return urlsplit(url).hostname in LOOPBACK


def credentials_file() -> Path:
    """Return where the file is, beside the settings."""
    return config_file().with_name("credentials.toml")


def load_credentials(file: Path | None = None) -> Credentials:
    """Return what is in the file; nothing, where there is none.

    Raises
    ------
    ConfigError
        It can't be read, or isn't one.
    """
    file = file or credentials_file()
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
        return Credentials(
            current=_text(table.get("current")),
            logins={
                url: Login(
                    token=Secret(token) if (token := _text(entry.get("token"))) else None,
                    user=_text(entry.get("user")) or "",
                    workspace=_text(entry.get("workspace")),
                    authority=_text(entry.get("authority")),
                )
                for url, entry in table.get("servers", {}).items()
            },
        )
    except FileNotFoundError:
        return Credentials()
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error.strerror}. Mend its permissions or move it away.") from None
    except (ValueError, TypeError, AttributeError, KeyError):
        # Not the parser's own words: they may quote a line, and a line may be a token.
        raise ConfigError(f"{file} isn't what `tradewind login` wrote: move it away and sign in again.") from None


def save_credentials(credentials: Credentials, file: Path | None = None) -> None:
    """Write the file, whole or not at all, readable by its user alone. Raises ConfigError."""
    file = file or credentials_file()
    lines = ["# Written by `tradewind login`; whoever can read this can act as you."]
    if credentials.current is not None:
        lines.append(f"current = {_quoted(credentials.current)}")
    for url, login in credentials.logins.items():
        lines.append(f"\n[servers.{_quoted(url)}]")
        values = {
            "user": login.user,
            "workspace": login.workspace,
            "token": login.token.reveal() if login.token is not None else None,
            "authority": login.authority,
        }
        lines.extend(f"{key} = {_quoted(value)}" for key, value in values.items() if value)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        number, name = tempfile.mkstemp(dir=file.parent, prefix=".credentials-")  # for its user alone from the start
        try:
            with os.fdopen(number, "w", encoding="utf-8") as new:
                new.write("\n".join([*lines, ""]))
            os.replace(name, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise ConfigError(
            f"{file} can't be written: {error.strerror}. Make {file.parent} writable, or set TRADEWIND_CONFIG_DIR."
        ) from None


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError
    return value


def _quoted(text: str) -> str:
    # A JSON string is a TOML string, but for DEL, which no name, token or certificate holds.
    return json.dumps(text.replace("\x7f", ""), ensure_ascii=False)
