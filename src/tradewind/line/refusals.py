"""Why a host can't be reached, in words that say what to do; and how it is reached, so that these words hold."""

from __future__ import annotations

import os
import shlex
import socket
from dataclasses import dataclass
from typing import Any

import asyncssh

from tradewind.config import SshHost


class Silent(Exception):
    """A host doesn't answer.

    Parameters
    ----------
    words : str
        Which host, why, and what to do; no full stop.
    is_certain : bool
        Whether it is certain that it never heard what it was asked.
    is_lasting : bool
        Whether waiting won't help: a person must do something.
    """

    def __init__(self, words: str, *, is_certain: bool = False, is_lasting: bool = False) -> None:
        super().__init__(words)
        self.words = words
        self.is_certain = is_certain
        self.is_lasting = is_lasting


class NoWay(Exception):
    """A host answers, and opens no way to an address beyond it.

    Parameters
    ----------
    reason : str
        In the words of its SSH server.
    is_forbidden : bool
        Whether it opens ways to nobody; else this address can't be reached from there.
    """

    def __init__(self, reason: str, *, is_forbidden: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.is_forbidden = is_forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Files of the user's that say whom to trust and how to get there."""

    known_hosts: str
    config: str


class Witness(asyncssh.SSHClient):
    """Remembers the key that a host showed and that isn't known."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.fingerprint = ""
        self.kind = ""

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        """Remember it, and refuse it."""
        self.fingerprint = key.get_fingerprint()
        self.kind = key.get_algorithm()
        return False


def options_for(host: SshHost, places: Places) -> dict[str, Any]:
    """Return how to connect: the user's own SSH settings, and what ours say besides."""
    options: dict[str, Any] = {
        "known_hosts": _known(places),
        "config": [places.config] if os.path.exists(places.config) else None,
        "keepalive_interval": 5,
        "keepalive_count_max": 3,
        "login_timeout": 10,
        "connect_timeout": 10,
    }
    if host.user is not None:
        options["username"] = host.user
    if host.port is not None:
        options["port"] = host.port
    if host.key is not None:
        options["client_keys"] = [os.path.expanduser(host.key)]
        options["agent_path"] = None
    return options


def words_for(error: Exception, host: SshHost, table: str, witness: Witness, places: Places) -> Silent:
    """Return why ``host``, of that table of the settings, can't be reached."""
    name, at = host.name, f"{host.address}{f' port {host.port}' if host.port else ''}"
    match error:
        case asyncssh.HostKeyNotVerifiable():
            return Silent(_unknown_key(host, witness, places), is_certain=True, is_lasting=True)
        case asyncssh.KeyImportError() | asyncssh.KeyEncryptionError() if "assphrase" in str(error):
            return Silent(
                f"the key {host.key} for {name} is locked with a passphrase: run `ssh-add {host.key}` once, and leave "
                f"key out of {table}, so that your SSH agent is asked",
                is_certain=True,
                is_lasting=True,
            )
        case asyncssh.KeyImportError():
            return Silent(f"the key {host.key} for {name} can't be used: {error}", is_certain=True, is_lasting=True)
        case FileNotFoundError() if host.key is not None and error.filename == os.path.expanduser(host.key):
            return Silent(f"the key {host.key} for {name} isn't there", is_certain=True, is_lasting=True)
        case asyncssh.PermissionDenied():
            user = f"user {host.user}" if host.user else "your user name"
            return Silent(
                f"{name} lets nobody in as {user} with "
                f"{f'the key {host.key}' if host.key else 'the keys of your SSH agent or your usual ones'}: "
                f"see that `ssh {f'-i {host.key} ' if host.key else ''}{f'-p {host.port} ' if host.port else ''}"
                f"{f'{host.user}@' if host.user else ''}{host.address} true` works without a question",
                is_certain=True,
                is_lasting=True,
            )
        case socket.gaierror() if error.errno == socket.EAI_NONAME:
            # Not for a while only: no computer has that name, however long one waits.
            return Silent(
                f"{name} can't be reached: no computer is known as {host.address!r}; correct its address in {table}",
                is_certain=True,
                is_lasting=True,
            )
        case TimeoutError():
            return Silent(f"{name} doesn't answer at {at}", is_certain=True)
        case OSError():
            return Silent(f"{name} can't be reached at {at}: {error.strerror or error}", is_certain=True)
    return Silent(f"the connection to {name} at {at} failed: {error}", is_certain=True)


def _known(places: Places) -> Any:
    try:
        return asyncssh.read_known_hosts(places.known_hosts)
    except FileNotFoundError:
        return asyncssh.import_known_hosts("")


def _unknown_key(host: SshHost, witness: Witness, places: Places) -> str:
    port = host.port or 22
    if not witness.fingerprint:
        return (
            f"a jump host on the way to {host.name} shows a key that isn't known, so it may be anybody: "
            f"`ssh {f'-p {host.port} ' if host.port else ''}{f'{host.user}@' if host.user else ''}{host.address} true` "
            "shows it, and trusts it once you have compared it"
        )
    shown = f"{witness.kind} {witness.fingerprint}"
    entry = host.address if port == 22 else f"[{host.address}]:{port}"
    file = shlex.quote(places.known_hosts)
    try:
        trusted = _known(places).match(host.address, "", host.port)[0]
    except (OSError, ValueError):
        trusted = []
    if trusted:
        return (
            f"{host.name} shows another key than {places.known_hosts} has for it, {shown}: somebody may stand in "
            f"between. If its administrator says that it was installed anew: `ssh-keygen -R {shlex.quote(entry)} "
            f"-f {file}`, and then as for a new host"
        )
    directory = os.path.dirname(places.known_hosts)
    # A shell makes the file, not its directory, which who has never used ssh doesn't have.
    first = "" if os.path.isdir(directory) else f"mkdir -p -m 700 {shlex.quote(directory)} && "
    return (
        f"the key of {host.name} isn't known, so it may be anybody: it shows {shown}. Compare that with what its "
        f"administrator says; then `{first}ssh-keyscan -p {port} {host.address} >> {file}`"
    )
