"""The ways to sign in, against servers that answer what a test wrote down."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.client.servers import Replies, ours, problem, serving
from tradewind.client.remote import connection as lines
from tradewind.client.remote import sign_in
from tradewind.client.remote.connection import Connection, Question
from tradewind.client.remote.credentials import Credentials, Login, load_credentials, save_credentials
from tradewind.client.remote.sign_in import begin, until_confirmed
from tradewind.client.remote.signed_in import connection_to, hub_token
from tradewind.errors import BadRequest, ServerError, SignInNeeded
from tradewind.model.joining import PendingLogin
from tradewind.model.secret import Secret

PENDING = PendingLogin(code="AB-12", secret="s3", url="https://x/logins/1", expires_at=datetime(2027, 1, 1, tzinfo=UTC))
HUB = {"JUPYTERHUB_API_TOKEN": "hub-secret", "JUPYTERHUB_USER": "ada"}
ME = Question(method="GET", path="me")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TRADEWIND_CONFIG_DIR", str(tmp_path))
    monkeypatch.setattr(lines, "FIRST_REST_S", 0.001)


def wait(replies):
    rests = []
    with serving(replies) as url:
        connection = Connection(url)
        try:
            return until_confirmed(connection, PENDING, sleep=rests.append), rests
        finally:
            connection.close()


def test_it_waits_until_somebody_confirms_through_a_server_that_starts_anew():
    not_yet = ours({}, 202, Retry_After="3")
    replies = Replies(not_yet, lambda: None, not_yet, ours({"token": "tw_1"}))
    token, rests = wait(replies)
    assert token == Secret("tw_1")
    assert rests == [3.0, sign_in.POLL_S, 3.0]
    assert {json.loads(body)["secret"] for _, _, _, body in replies.asked} == {"s3"}


def test_a_refusal_ends_the_waiting():
    with pytest.raises(BadRequest, match="refused"):
        wait(Replies(ours({}, 202), problem("BadRequest", 400, "it was refused")))


def test_nobody_waits_for_ever():
    with pytest.raises(SignInNeeded, match="within 10 min"):
        wait(Replies(ours({}, 202, Retry_After="200")))


@pytest.mark.parametrize("page", ["javascript:alert(1)", "file:///etc/passwd", "-oProxyCommand=x"])
def test_only_a_page_of_the_web_is_opened(page):
    body = {"code": "x", "secret": "y", "url": page, "expires_at": "2027-01-01T00:00:00Z"}
    with serving(Replies(ours(body, 201))) as url, pytest.raises(ServerError, match="its page"):
        begin(Connection(url))


def test_in_a_jupyterhub_the_first_question_signs_in_and_the_next_program_knows():
    replies = Replies(ours({"token": "tw_lent"}), ours({"a": 1}))
    with serving(replies) as url:
        connection = connection_to(url, HUB)
        assert connection.ask_here(ME, dict) == {"a": 1}
        connection.close()
    (_, where, _, body), (_, _, told, _) = replies.asked
    assert where == "/api/v1/logins/jupyterhub"
    assert json.loads(body) == {"token": "hub-secret"}
    assert told["authorization"] == "Bearer tw_lent"
    assert load_credentials().of(url).token == Secret("tw_lent")


def test_a_lent_token_that_ran_out_is_lent_again():
    replies = Replies(problem("SignInNeeded", 401, "expired"), ours({"token": "tw_2"}), ours({"a": 1}))
    with serving(replies) as url:
        save_credentials(Credentials(logins={url: Login(token=Secret("tw_1"), workspace="sea-ice")}))
        connection = connection_to(url, HUB)
        assert connection.ask_here(ME, dict) == {"a": 1}
        connection.close()
        assert load_credentials().of(url) == Login(token=Secret("tw_2"), workspace="sea-ice")


def test_a_hubs_token_goes_nowhere_unless_a_hub_gave_it():
    assert hub_token({"JUPYTERHUB_API_TOKEN": "x"}) is None
    assert hub_token(HUB) == Secret("hub-secret")


def test_a_token_in_a_variable_is_the_one_that_is_meant():
    replies = Replies(problem("SignInNeeded", 401, "revoked; sign in: tradewind login URL"))
    with serving(replies) as url:
        save_credentials(Credentials(logins={url: Login(token=Secret("tw_saved"))}))
        connection = connection_to(url, {**HUB, "TRADEWIND_TOKEN": " tw_given\n"})
        with pytest.raises(SignInNeeded, match="revoked"):
            connection.ask_here(ME, dict)
        connection.close()
    assert [told["authorization"] for _, _, told, _ in replies.asked] == ["Bearer tw_given"]
