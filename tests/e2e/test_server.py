"""What differs with a server from an engine of one's own: who looks after clusters, and who hears what."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from tests.e2e.conftest import eventually, instances_of
from tests.engine.purse import usd
from tests.served import end_server, first_user, meet_server, start_server
from tradewind import Cluster
from tradewind.client.door import open_api
from tradewind.client.remote.credentials import load_credentials, save_credentials
from tradewind.client.remote.verbs import Remote
from tradewind.errors import BadRequest, NotFound, ServerError, SignInNeeded
from tradewind.model.budget import BudgetScope
from tradewind.model.cluster import StopReason
from tradewind.model.exchange import NewBudget
from tradewind.model.secret import Secret

pytestmark = [pytest.mark.timeout(120), pytest.mark.parametrize("home", ["server"], indirect=True)]


def test_a_cluster_outlives_the_program_that_died_and_ends_when_nobody_comes_back(home):
    code = (
        "from tradewind import Cluster; import os; c = Cluster(name='orphan', n_workers=1, no_client_timeout='2 s',"
        "show_widget=False); print(c.cluster_id, flush=True); os._exit(1)"
    )
    died = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    api = open_api()
    cluster_id = died.stdout.strip()
    assert cluster_id, died.stderr
    eventually(lambda: not api.run(api.view(cluster_id)).cluster.status.is_live, 20, "the server ends it")
    assert api.run(api.view(cluster_id)).cluster.stop_reason is StopReason.NO_CLIENT


def test_a_program_that_ends_leaves_nothing_running(home):
    code = "from tradewind import Cluster; c = Cluster(n_workers=1, show_widget=False); print(c.cluster_id)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    api = open_api()
    view = api.run(api.view(ended.stdout.strip()))
    assert not view.cluster.status.is_live
    assert view.cluster.stop_reason is StopReason.ASKED


def test_no_engine_is_opened_in_this_process(home, tmp_path):
    code = (
        "import sys; from tradewind import Cluster; print(Cluster.plan(n_workers=1));"
        "heavy = ('tradewind.engine', 'tradewind.store', 'sqlalchemy', 'httpx');"
        "print([m for m in sys.modules if m.startswith(heavy)])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ran.stdout.splitlines()[-1] == "[]", ran.stderr
    assert not (tmp_path / "tradewind.db").exists()


def test_a_record_holds_nothing_of_the_callers_variables(home, monkeypatch):
    monkeypatch.setenv("CALLERS_OWN", "never-to-be-seen")
    with Cluster(n_workers=0, show_widget=False) as cluster:
        api = cluster._session.api
        assert isinstance(api, Remote)
        spec = api.run(api.view(cluster.cluster_id)).cluster.spec
    assert "never-to-be-seen" not in repr(spec)


def test_a_revoked_token_stops_the_display_and_not_the_cluster(home, tmp_path, caplog):
    with Cluster(n_workers=0, show_widget=False) as cluster:
        good = load_credentials()
        url = good.current
        assert url is not None
        save_credentials(good.with_login(url, replace(good.of(url), token=Secret("tw_" + "x" * 43))))
        with pytest.raises(SignInNeeded, match=f"tradewind login {url}"):
            cluster.receipt()
        save_credentials(good)  # somebody signs in again, in a terminal
        assert cluster.receipt().cluster_name == cluster.name


def test_another_workspace_is_as_if_there_were_none(home):
    with pytest.raises(NotFound, match="elsewhere"):
        Cluster(workspace="elsewhere", n_workers=0, show_widget=False)


def test_a_variable_with_a_token_is_enough(home, served, tmp_path):
    login = load_credentials().of(served.url)
    save_credentials(replace(load_credentials(), current=None).with_login(served.url, replace(login, token=None)))
    environ = {**os.environ, "TRADEWIND_SERVER": served.url, "TRADEWIND_TOKEN": served.token.reveal()}
    words = [sys.executable, "-c", "from tradewind.cli import main; main()", "workspace", "list", "--json"]
    ran = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False, env=environ)
    assert "default" in {member["workspace"] for member in json.loads(ran.stdout)}, ran.stderr


def test_work_goes_on_while_the_server_is_dead_and_is_looked_after_when_it_is_back(home, tmp_path, caplog):
    directory = tmp_path / "mortal"
    directory.mkdir()
    process, url = start_server(directory)
    server = meet_server(directory, process, url, asyncio.run(first_user(directory)))
    server.sign_in(tmp_path)
    try:
        cluster = Cluster(n_workers=1, show_widget=False)
        client = cluster.get_client()
        process.kill()
        process.wait()
        assert client.submit(sum, [1, 2]).result() == 3
        with pytest.raises(ServerError, match="nobody answers"):
            cluster.receipt()
        process, _ = start_server(directory, int(url.rpartition(":")[2]))
        assert cluster.receipt().cluster_name == cluster.name
        cluster.scale(2)
        cluster.wait_for_workers(2, timeout=30)
        assert client.submit(sum, [3, 4]).result() == 7
        client.close()
        cluster.close()
        assert cluster._receipt is not None
        eventually(lambda: not instances_of(directory), 10, "all has ended")
    finally:
        end_server(process)


def test_a_budget_and_a_webhook_are_set_changed_and_removed_over_the_line(home):
    api = open_api()
    assert isinstance(api, Remote)
    wanted = NewBudget(limit=usd("50"), scope=BudgetScope.TAG, key="project=wire")
    made = api.run(api.set_budget(wanted))
    changed = api.run(api.set_budget(replace(wanted, limit=usd("60.000000000001"), is_hard=False)))
    assert changed.budget.id == made.budget.id
    (view,) = [one for one in api.run(api.budgets()) if one.budget.key == "project=wire"]
    assert (view.budget.limit, view.budget.is_hard) == (usd("60.000000000001"), False)
    assert (view.state.spent, view.reserved) == (usd("0"), usd("0"))
    api.run(api.remove_budget(made.budget.id))
    with pytest.raises(NotFound, match=made.budget.id):
        api.run(api.remove_budget(made.budget.id))
    with pytest.raises(BadRequest, match="project=enso"):
        api.run(api.set_budget(replace(wanted, key="no tag")))

    hook = api.run(api.add_webhook("https://example.org/hook"))
    assert hook.webhook in api.run(api.webhooks())
    api.run(api.remove_webhook(hook.webhook.id))
    assert hook.webhook not in api.run(api.webhooks())
    with pytest.raises(BadRequest):
        api.run(api.add_webhook("http://127.0.0.1/hook"))
