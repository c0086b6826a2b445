"""A client's key opens its cluster, and no disk ever has it."""

from __future__ import annotations

import pickle
import socket
import ssl
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from distributed.security import Security

from tradewind.boot.process import KeyPair
from tradewind.boot.tls import Authority
from tradewind.client.security import security_from

NOW = datetime.now(UTC).replace(microsecond=0)


def scheduler(directory: Path, keys: KeyPair) -> ssl.SSLContext:
    """Return what a scheduler listens with, who lets in nobody without a certificate of its authority."""
    pem = directory / "scheduler.pem"
    pem.write_text(f"{keys.certificate}\n{keys.key.reveal()}")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pem)
    made.load_verify_locations(cadata=keys.authority)
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def answer_to(security: Security, listening: ssl.SSLContext) -> bytes:
    """Return what the scheduler says to a client that connects with this."""
    context: ssl.SSLContext = security.get_connection_args("client")["ssl_context"]
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.settimeout(5)

    def answer() -> None:
        with listening.wrap_socket(ours, server_side=True) as line:
            line.sendall(b"welcome")

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with context.wrap_socket(theirs) as line:
            return line.recv(100)
    finally:
        theirs.close()
        thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere libraries read keys from files on a disk alone")
def test_a_key_that_a_client_connects_with_is_written_on_no_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority.create("c1", NOW)
    listening, security = scheduler(tmp_path, authority.issue("s", NOW)), security_from(authority.issue("c", NOW))
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    written: list[str] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).startswith(str(temporary)):
            written.append(str(arguments[0]))

    sys.addaudithook(watch)

    assert answer_to(security, listening) == b"welcome"

    assert written == []


def test_a_key_that_went_to_another_process_opens_the_cluster_as_well(tmp_path: Path) -> None:
    authority = Authority.create("c1", NOW)
    listening, security = scheduler(tmp_path, authority.issue("s", NOW)), security_from(authority.issue("c", NOW))

    assert answer_to(pickle.loads(pickle.dumps(security)), listening) == b"welcome"


def test_what_shows_the_security_shows_no_key() -> None:
    keys = Authority.create("c1", NOW).issue("c", NOW)

    assert keys.key.reveal().splitlines()[1] not in repr(security_from(keys))
