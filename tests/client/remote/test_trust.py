"""First contact with a server of a private authority."""

from __future__ import annotations

import pytest

from tests.client.servers import Replies, certificate_of, new_authority, ours, serving
from tradewind.boot import tls
from tradewind.client.remote.connection import Connection, Question
from tradewind.client.remote.trust import Stranger, meet
from tradewind.errors import ServerError


def test_what_is_shown_is_the_fingerprint_and_what_is_pinned_outlives_a_renewal(tmp_path):
    authority = new_authority("mine")
    chain = certificate_of(authority, tmp_path)
    with serving(Replies(ours({})), chain) as url:
        stranger = meet(url)
    assert stranger.fingerprint == tls.fingerprint(chain[0].read_text())
    assert stranger.authority.strip() == authority.certificate.strip()
    with serving(Replies(ours({})), certificate_of(authority, tmp_path)) as url:  # another key, the same authority
        connection = Connection(url, authority=stranger.authority)
        assert connection.ask_here(Question(method="GET", path="me"), dict) == {}
        connection.close()


def test_a_certificate_alone_is_pinned_itself(tmp_path):
    chain, key = certificate_of(new_authority("mine"), tmp_path)
    alone = tmp_path / "alone.crt"
    alone.write_text(chain.read_text().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")
    with serving(Replies(ours({})), (alone, key)) as url:
        connection = Connection(url, authority=meet(url).authority)
        assert connection.ask_here(Question(method="GET", path="me"), dict) == {}
        connection.close()


def test_showing_somebody_elses_authority_wins_no_trust(tmp_path):
    mine, known = new_authority("mine"), new_authority("known")
    with serving(Replies(ours({})), certificate_of(mine, tmp_path, shows=known)) as url:
        stranger = meet(url)
        assert stranger.is_known_as(tls.fingerprint(known.certificate))  # as anybody could show it
        with pytest.raises(ServerError, match="another certificate"):
            Connection(url, authority=stranger.authority).ask_here(Question(method="GET", path="me"), dict)


def test_a_certificate_for_another_name_is_refused(tmp_path):
    authority = new_authority("mine")
    with (
        serving(Replies(ours({})), certificate_of(authority, tmp_path, hosts=("elsewhere.example",))) as url,
        pytest.raises(ServerError, match="127.0.0.1"),
    ):
        Connection(url, authority=authority.certificate).ask_here(Question(method="GET", path="me"), dict)


def test_plain_http_where_tls_is_expected_is_said():
    with serving(Replies(ours({}))) as url, pytest.raises(ServerError, match="doesn't speak TLS"):
        meet(url.replace("http:", "https:"))


@pytest.mark.parametrize(
    "written", ["AB:CD:01", "abcd01", "ab cd 01", "sha256:abcd01", "sha256 Fingerprint=AB:CD:01\n", "SHA256:AB:CD:01"]
)
def test_a_fingerprint_is_known_however_it_is_written(written):
    stranger = Stranger(fingerprints=("AB:CD:01",), authority="")
    assert stranger.is_known_as(written)
    assert not stranger.is_known_as(written.replace("1", "2"))
