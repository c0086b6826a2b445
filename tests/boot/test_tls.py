"""Keys of a cluster: they open this cluster, no other, and not for ever."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tradewind.boot.process import KeyPair
from tradewind.boot.tls import Authority

NOW = datetime.now(UTC).replace(microsecond=0)
OURS, THEIRS = Authority.create("c1", NOW), Authority.create("c1", NOW)


def context(directory: Path, keys: KeyPair, purpose: int) -> ssl.SSLContext:
    directory.mkdir()
    (directory / "cert.pem").write_text(keys.certificate)
    (directory / "key.pem").write_text(keys.key.reveal())
    made = ssl.SSLContext(purpose)
    made.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    made.load_verify_locations(cadata=keys.authority)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    return made


def talk(tmp_path: Path, server: KeyPair, client: KeyPair, name: str | None = None) -> bytes:
    """Return what a server says to a client, each of which demands the other's certificate."""
    behind = context(tmp_path / "server", server, ssl.PROTOCOL_TLS_SERVER)
    before = context(tmp_path / "client", client, ssl.PROTOCOL_TLS_CLIENT)
    before.check_hostname = name is not None
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.settimeout(5)

    def answer() -> None:
        try:
            with behind.wrap_socket(ours, server_side=True) as line:
                line.sendall(b"welcome")
        except OSError:
            ours.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with before.wrap_socket(theirs, server_hostname=name) as line:
            return line.recv(100)
    finally:
        theirs.close()
        thread.join()


def test_two_of_one_cluster_talk(tmp_path: Path) -> None:
    assert talk(tmp_path, OURS.issue("s", NOW), OURS.issue("w", NOW)) == b"welcome"


def test_a_client_of_another_cluster_is_not_let_in(tmp_path: Path) -> None:
    client = THEIRS.issue("w", NOW)
    stranger = KeyPair(authority=OURS.certificate, certificate=client.certificate, key=client.key)
    heard = b""
    with suppress(ssl.SSLError, ConnectionError):
        heard = talk(tmp_path, OURS.issue("s", NOW), stranger)
    assert heard == b""


def test_a_server_of_another_cluster_is_not_believed(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        talk(tmp_path, THEIRS.issue("s", NOW), OURS.issue("w", NOW))


def test_keys_that_have_run_out_open_nothing(tmp_path: Path) -> None:
    old = OURS.issue("s", NOW - timedelta(days=3), lifetime=timedelta(days=1))
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        talk(tmp_path, old, OURS.issue("w", NOW))


@pytest.mark.parametrize(("name", "holds"), [("node7", True), ("127.0.0.1", True), ("node8", False)])
def test_a_name_is_verified_where_it_was_given(tmp_path: Path, name: str, holds: bool) -> None:
    server = OURS.issue("s", NOW, hosts=("node7", "127.0.0.1"))
    if holds:
        assert talk(tmp_path, server, OURS.issue("w", NOW), name) == b"welcome"
    else:
        with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
            talk(tmp_path, server, OURS.issue("w", NOW), name)


def test_what_was_issued_can_not_issue_and_is_good_from_a_little_earlier() -> None:
    leaf = x509.load_pem_x509_certificate(OURS.issue("w" * 100, NOW, lifetime=timedelta(days=2)).certificate.encode())
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    assert leaf.not_valid_before_utc < NOW
    assert leaf.not_valid_after_utc == NOW + timedelta(days=2)


def test_no_key_shows_when_its_holder_is_printed() -> None:
    keys = OURS.issue("w", NOW)
    assert "PRIVATE KEY" in keys.key.reveal()
    assert "PRIVATE KEY" not in f"{OURS!r} {keys!r} {keys}"
    assert keys.key.reveal() != OURS.issue("w", NOW).key.reveal()
