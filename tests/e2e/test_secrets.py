"""Credentials go with a cluster, are used by its tasks, and stand nowhere else: every byte is searched."""

from __future__ import annotations

import base64
import json
import os
import secrets
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
from distributed import Client

from tests.e2e.conftest import eventually, instances_of
from tests.secrets_search import files, processes, search
from tradewind import Cluster
from tradewind.errors import BadRequest

pytestmark = pytest.mark.timeout(180)

SESSION = """<R xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetSessionTokenResult><Credentials>
<AccessKeyId>{AccessKeyId}</AccessKeyId><SecretAccessKey>{SecretAccessKey}</SecretAccessKey>
<SessionToken>{Token}</SessionToken><Expiration>{ends}</Expiration>
</Credentials></GetSessionTokenResult></R>"""


class TokenService(HTTPServer):
    """Gives sessions for keys, as Amazon's does."""

    def __init__(self, session: dict[str, str]) -> None:
        self.sessions = 0
        server = self

        class Answer(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                server.sessions += 1
                ends = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
                self.send_response(200)
                self.end_headers()
                self.wfile.write(SESSION.format(**session, ends=ends).encode())

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, daemon=True).start()


@pytest.fixture
def canaries() -> dict[str, str]:
    """Secrets by what they are; each is like no other text."""
    names = ("AccessKeyId", "SecretAccessKey", "Token", "home key", "earthdata password", "MY_TOKEN", "private")
    return {name: f"c4n4ry{secrets.token_hex(12)}" for name in names}


@pytest.fixture
def signed_in(
    canaries: dict[str, str], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TokenService]:
    """A caller with keys of AWS, a login of Earthdata and a token, in a home that no search looks at."""
    own = tmp_path_factory.mktemp("own")
    (own / "netrc").write_text(f"machine urs.earthdata.nasa.gov login ada password {canaries['earthdata password']}\n")
    service = TokenService(canaries)
    variables = {
        "AWS_ACCESS_KEY_ID": "AKIAHOME",
        "AWS_SECRET_ACCESS_KEY": canaries["home key"],
        "AWS_ENDPOINT_URL_STS": f"http://127.0.0.1:{service.server_port}",
        "AWS_DEFAULT_REGION": "us-west-2",
        "NETRC": str(own / "netrc"),
        "MY_TOKEN": canaries["MY_TOKEN"],
    }
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    yield service
    service.shutdown()
    service.server_close()


def use(names: list[str]) -> dict[str, int]:
    """Do what a task does with credentials; return how long each is, and nothing of them."""
    import netrc

    request = urllib.request.Request(
        os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
        headers={"Authorization": Path(os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).read_text()},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found = json.load(answer)
    password = netrc.netrc(os.environ["NETRC"]).authenticators("urs.earthdata.nasa.gov")[2]
    mine: dict[str, Any] = {**found, **os.environ, "earthdata password": password}
    return {name: len(mine[name]) for name in names}


def seen_from_outside(cluster: Cluster, client: Client, to: Path) -> None:
    """Write down everything that a person can look at while the cluster runs."""
    base = cluster.dashboard_link.removesuffix("/status")
    workers = [urllib.request.quote(address, safe="") for address in client.scheduler_info()["workers"]]
    pages = ["/status", "/workers", "/info/main/workers.html", "/info/main/logs.html", "/info/logs.html", "/metrics"]
    pages += ["/json/identity.json", "/json/counts.json", "/info/call-stacks.html", "/sysmon", "/tasks", "/events"]
    pages += [f"/info/{what}/{one}.html" for one in workers for what in ("worker", "logs", "call-stack")]
    shown = 0
    for number, page in enumerate(pages):
        try:
            with urllib.request.urlopen(base + page, timeout=20) as answer:
                (to / f"page-{number}").write_bytes(answer.read())
                shown += 1
        except urllib.error.HTTPError:
            continue
    assert shown >= 5, "the dashboard shows its pages"
    client.dump_cluster_state(str(to / "dump-yaml"), format="yaml")
    client.dump_cluster_state(str(to / "dump"))
    told = {
        "agent page": client.run_on_scheduler(
            lambda dask_scheduler: dask_scheduler.plugins["tradewind-agent"]._agent.status(
                since=0, target_duration_s=180
            )
        ),
        "scheduler": client.run_on_scheduler(lambda dask_scheduler: repr(vars(dask_scheduler))),
        "plugins": client.run(lambda dask_worker: repr([vars(one) for one in dask_worker.plugins.values()])),
        "logs": [client.get_scheduler_logs(), client.get_worker_logs(), client.get_events()],
        "stream": client.get_task_stream(),
        "cluster logs": cluster.get_logs(),
        "shown": [repr(cluster), cluster._repr_html_(), repr(cluster._session.view), repr(vars(cluster))],
        "journal": cluster.sync(cluster._session.api.events, cluster.cluster_id),
        "computations": cluster.sync(cluster._session.api.computations, cluster.cluster_id),
    }
    (to / "told").write_text(json.dumps(told, default=repr))
    cluster.sync(cluster._session.api.export, "everything", to / "everything.zip")


@pytest.mark.both_modes
def test_credentials_reach_tasks_and_no_byte_that_is_written(
    home: Path,
    canaries: dict[str, str],
    signed_in: TokenService,
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    with Cluster(
        n_workers=1, credentials=["aws", "earthdata", "MY_TOKEN"], record_code=True, show_widget=False
    ) as cluster:
        cluster.send_private_envs({"private": canaries["private"]})
        cluster.scale(2)
        cluster.wait_for_workers(2)
        client = cluster.get_client()
        wanted = [name for name in canaries if name != "home key"]
        for lengths in client.gather(client.map(use, [wanted] * 8, pure=False)):
            assert lengths == {name: len(canaries[name]) for name in wanted}
        pids = [process.pid for process in instances_of(home)]
        porters = [
            child.pid for pid in pids for child in psutil.Process(pid).children() if "porter" in str(child.cmdline())
        ]
        assert porters
        assert not search(processes(environ_of=[*pids, *porters]), {k: v for k, v in canaries.items() if k == "Token"})
        seen_from_outside(cluster, client, outside)
        running = [*search(files(home), canaries), *search(processes(), canaries)]
        client.close()
    eventually(lambda: not instances_of(home), 15, "nobody writes any more")
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in porters), 15, "nobody stands at the doors")
    assert [path for pid in pids for path in Path("/dev/shm").glob(f"tradewind-credentials-{pid}-*")] == []
    said = capfd.readouterr()
    (outside / "terminal").write_text(caplog.text + said.out + said.err)

    assert running == []
    assert search(files(home, outside), canaries) == []
    assert signed_in.sessions == 1

    # Of the same places, so that they are looked at: a planted one is found.
    (home / "planted").write_bytes(base64.b64encode(b"a" + canaries["Token"].encode()))
    (outside / "planted").write_text(canaries["private"])
    assert {found.secret for found in search(files(home, outside), canaries)} == {"Token", "private"}


def test_the_home_that_is_shared_is_left_as_it_is(home: Path, signed_in: TokenService) -> None:
    with Cluster(n_workers=1, show_widget=False) as cluster:
        client = cluster.get_client()
        assert client.submit(os.getenv, "AWS_CONTAINER_CREDENTIALS_FULL_URI").result() is None
        client.close()
    assert signed_in.sessions == 0


def test_what_is_not_there_is_refused_before_anything_starts(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_TOKEN", raising=False)
    started = time.monotonic()
    with pytest.raises(BadRequest, match="NO_SUCH_TOKEN can't be found on this machine"):
        Cluster(n_workers=1, credentials=["NO_SUCH_TOKEN"], show_widget=False)
    assert time.monotonic() - started < 5
    assert not instances_of(home)
