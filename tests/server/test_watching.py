"""What those who look after servers are told: health, figures, traces."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.server.running import listening
from tests.server.stage import API, Stage, new
from tradewind.config import ServeSettings, Settings
from tradewind.errors import StoreError
from tradewind.model.people import MemberRole

LAB = f"{API}/workspaces/lab"


async def test_a_replica_whose_store_is_gone_is_alive_and_not_ready(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise StoreError("the database is gone")

    async with stage.client() as program:
        before = await program.get("/readyz")
        monkeypatch.setattr(stage.shared.assembly.store, "find_cluster", fail)
        alive, ready = await program.get("/healthz"), await program.get("/readyz")

    assert before.status_code == 200
    assert alive.status_code == 200
    assert ready.status_code == 503
    assert ready.json()["facts"]["store"] == "can't be reached"


async def test_a_replica_whose_engine_stands_still_is_not_ready(stage: Stage) -> None:
    engine = stage.shared.assembly.engine
    await engine.aclose()
    assert engine.turned_at is not None
    engine.turned_at -= timedelta(seconds=60)
    async with stage.client() as program:
        ready = await program.get("/readyz")

    assert ready.status_code == 503
    assert ready.json()["facts"]["engine"] == "stands still"


async def test_a_replica_that_ends_is_not_ready(stage: Stage) -> None:
    stage.app.state.ending.set()
    async with stage.client() as program:
        assert (await program.get("/readyz")).status_code == 503


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
async def test_what_a_proxy_hands_on_is_not_from_this_machine(stage: Stage, header: str) -> None:
    async with stage.client(address="127.0.0.1") as program:
        assert (await program.get("/metrics")).status_code == 200
        assert (await program.get("/metrics", headers={header: "127.0.0.1"})).status_code == 401


async def test_figures_tell_what_lives_and_name_nobody(stage: Stage) -> None:
    async with stage.client("mia") as mia, stage.client(address="127.0.0.1") as prometheus:
        await mia.post(f"{LAB}/clusters", json=new("enso"))
        for _ in range(100):
            text = (await prometheus.get("/metrics")).text
            if 'tradewind_instances{status="running"} 3.0' in text:
                break
            await asyncio.sleep(0.05)

    assert 'tradewind_instances{status="running"} 3.0' in text
    assert 'tradewind_clusters{status="running"} 1.0' in text
    assert "tradewind_leases 1.0" in text
    assert "tradewind_engine_lag_p99_s" in text
    assert 'tradewind_burn_per_hour{currency="' in text
    route = "/api/v1/workspaces/{workspace}/clusters"
    assert f'tradewind_requests_total{{method="POST",route="{route}",status="201"}} 1.0' in text
    assert not any(word in text for word in ("enso", "mia", "lab"))


@pytest.mark.parametrize(
    ("user", "address", "status"),
    [(None, "127.0.0.1", 200), (None, "203.0.113.7", 401), ("olga", "203.0.113.7", 403), ("root", "203.0.113.7", 200)],
)
async def test_figures_are_for_operators_and_this_machine(
    stage: Stage, user: str | None, address: str, status: int
) -> None:
    async with stage.client(user, address=address) as client:
        assert (await client.get("/metrics")).status_code == status


async def test_each_request_is_a_span_that_goes_on_with_its_callers_trace(tmp_path: Path) -> None:
    received: list[ExportTraceServiceRequest] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    receiver = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    Thread(target=receiver.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{receiver.server_port}/v1/traces"
    stage = await Stage.open(tmp_path, replace(Settings(), serve=ServeSettings(tls=False, otlp_endpoint=endpoint)))
    await stage.workspace("lab", {"olga": MemberRole.OWNER})
    trace_id = "0af7651916cd43dd8448eb211c80319c"
    async with listening(stage) as url, stage.client("olga") as olga, httpx.AsyncClient(base_url=url) as http:
        headers = dict(olga.headers) | {"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"}
        await http.get(f"{LAB}/clusters?secret=hunter2", headers=headers)
    await stage.aclose()
    receiver.shutdown()
    receiver.server_close()

    spans = [
        span
        for request in received
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]
    told = {each.key: each.value.string_value or each.value.int_value for each in spans[0].attributes}
    assert spans[0].name == "GET /api/v1/workspaces/{workspace}/clusters"
    assert spans[0].trace_id.hex() == trace_id
    assert told["http.response.status_code"] == 200
    assert told["tradewind.workspace"] == "lab"
    assert not any(b"hunter2" in request.SerializeToString() for request in received)
