"""The verbs of a server where its answers alone don't show it: lists in pages, and polls that something cuts."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.client.servers import Replies, ours, problem, serving
from tests.store.store_records import make_cluster
from tradewind import wire
from tradewind.client.remote import connection as lines
from tradewind.client.remote import verbs as remotes
from tradewind.client.remote.connection import Connection
from tradewind.client.remote.examine import examine
from tradewind.client.remote.verbs import Remote
from tradewind.errors import ServerError
from tradewind.model.usage import Cost
from tradewind.model.views import ClusterView


def a_view(revision: int = 1) -> dict[str, object]:
    view = ClusterView(cluster=make_cluster(), instances=(), cost=Cost(), budget=None, page=None, revision=revision)
    return wire.dump(view)


@pytest.fixture
def remote(monkeypatch):
    monkeypatch.setattr(lines, "FIRST_REST_S", 0.001)
    opened = []

    def open_one(url):
        opened.append(Remote(Connection(url), "sea ice"))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def test_a_list_is_asked_for_in_pages_and_no_further_than_wanted(remote, monkeypatch):
    monkeypatch.setattr(remotes, "PAGE", 2)
    pages = [ours({"items": [a_view(), a_view()], "next": "c1"}), ours({"items": [a_view()], "next": "c2"})]
    replies = Replies(*pages)
    with serving(replies) as url:
        api = remote(url)
        assert len(api.run(api.list_clusters(live=True, limit=3))) == 3
    asked = [where for _, where, _, _ in replies.asked]
    assert asked[0] == "/api/v1/workspaces/sea%20ice/clusters?limit=2&live=true"
    assert asked[1] == "/api/v1/workspaces/sea%20ice/clusters?cursor=c1&limit=1&live=true"


def test_a_server_that_promises_more_and_gives_nothing_is_not_asked_for_ever(remote):
    replies = Replies(ours({"items": [], "next": "again"}))
    with serving(replies) as url:
        api = remote(url)
        assert api.run(api.list_clusters()) == []
    assert len(replies.asked) == 1


def test_a_poll_that_a_proxy_cuts_is_followed_by_a_look_and_the_next_is_shorter(remote, monkeypatch):
    monkeypatch.setattr(remotes, "SHORTEST_POLL_S", 0.01)

    def cut():
        time.sleep(0.2)

    replies = Replies(cut, ours(a_view(5)), ours(a_view(6)))
    with serving(replies) as url:
        api = remote(url)
        assert api.run(api.wait_changed("tw-1", 4, 20.0)).revision == 5
        assert api.run(api.wait_changed("tw-1", 5, 20.0)).revision == 6
    polls = [where.partition("?")[2] for _, where, _, _ in replies.asked]
    assert polls[0] == "after_revision=4&timeout_s=20.0"
    assert polls[1] == ""
    assert float(polls[2].rpartition("=")[2]) < 1


def test_no_cluster_of_the_name_is_none_and_no_server_is_an_error(remote):
    with serving(Replies(problem("NotFound", 404, "there is none"))) as url:
        api = remote(url)
        assert api.run(api.find("x")) is None
    with pytest.raises(ServerError):
        remote(url).run(remote(url).find("x"))


async def test_the_doctor_tells_a_clock_that_is_wrong_and_a_version_that_differs():
    ahead = (datetime.now(UTC) + timedelta(minutes=5)).strftime("%a, %d %b %Y %H:%M:%S GMT")
    status, headers, body = ours({})
    replies = Replies((status, {**headers, "Tradewind-Version": "7.0.0", "Date": ahead}, body))
    with serving(replies) as url:
        checks = {check.name: check for check in await examine(Connection(url), "default")}
    assert not checks["version"].ok
    assert "7.0.0" in checks["version"].advice
    assert not checks["clock"].ok
    assert "behind the server's" in checks["clock"].fact
    assert checks["token"].ok


async def test_the_doctor_says_that_nobody_is_there(monkeypatch):
    monkeypatch.setattr(lines, "FIRST_REST_S", 0.001)
    with serving(Replies(ours({}))) as url:
        gone = url
    checks = await examine(Connection(gone), "default")
    assert checks[-1].name == "server"
    assert "nobody answers" in checks[-1].fact
