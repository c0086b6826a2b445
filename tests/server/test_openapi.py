"""The document describes what the server does: strangers' requests made from it find no fault and no surprise."""

from __future__ import annotations

import asyncio
import html
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.server.stage import Stage, new, token_of
from tradewind.config import ServeSettings, Settings
from tradewind.model.people import MemberRole
from tradewind.server.app import OPERATIONS
from tradewind.server.operation import Operation
from tradewind.server.run import listen

EXAMPLES = 12
"""Requests for each operation and kind of data: enough to have found what was wrong, in less than a minute."""
ENDING = [operation for operation in OPERATIONS if operation.media_type != "text/event-stream"]
"""Without streams: their answers have no end, and have tests of their own."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """Where the server is, what it says of itself, and a cluster that is there."""

    url: str
    schema: Any
    cluster_id: str


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A real server with something in it, on a thread."""
    directory: Path = tmp_path_factory.mktemp("server")
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    ready, ended = threading.Event(), threading.Event()
    running: list[uvicorn.Server] = []
    found: list[str] = []

    async def serve() -> None:
        limits = ServeSettings(tls=False, requests_per_second=1e6, burst=1_000_000, port=port)
        stage = await Stage.open(directory, replace(Settings(), serve=limits))
        await stage.workspace("lab", {"olga": MemberRole.OWNER, "mia": MemberRole.MEMBER})
        await stage.user("root", is_operator=True)
        async with stage.client("olga") as olga:
            made = await olga.post("/api/v1/workspaces/lab/clusters", json=new("enso"))
            found.append(made.json()["id"])
        config = uvicorn.Config(stage.app, log_config=None, access_log=False, lifespan="off", ws="none")
        running.append(uvicorn.Server(config))
        ready.set()
        await running[0].serve([listening])
        await stage.aclose()
        ended.set()

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    url = f"http://127.0.0.1:{port}"
    schema = schemathesis.openapi.from_dict(httpx.get(f"{url}/api/v1/openapi.json").json())
    yield Served(url=url, schema=schema, cluster_id=found[0])
    running[0].should_exit = True
    assert ended.wait(20)
    listening.close()


@pytest.mark.parametrize("operation", ENDING, ids=lambda operation: operation.name)
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
def test_no_request_finds_a_fault_or_an_answer_that_isnt_documented(
    server: Served, mode: GenerationMode, operation: Operation
) -> None:
    asked = server.schema[operation.path][operation.method]
    named = {"workspace": "lab", "cluster": server.cluster_id, "user": "mia"}
    cases = asked.as_strategy(generation_mode=mode)

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=cases, is_real=st.sampled_from([True, True, False]), who=st.sampled_from(["olga", "olga", "root"]))
    def look(case: Case, is_real: bool, who: str) -> None:
        if is_real and isinstance(case.path_parameters, dict):
            # By chance alone nobody ever names a workspace that is there.
            known = {name: value for name, value in named.items() if name in case.path_parameters}
            case.path_parameters = {**case.path_parameters, **known}
            if isinstance(case.body, dict) and isinstance(case.body.get("spec"), dict):
                case.body["spec"] |= {"workspace": "lab", "provider": "fake"}
        if isinstance(case.query, dict) and isinstance(case.query.get("timeout_s"), int | float):
            # Who asks to wait for a change is granted a minute, and a test has none.
            case.query["timeout_s"] = min(case.query["timeout_s"], 0.05)
        answer = case.call(base_url=server.url, headers={"Authorization": f"Bearer {token_of(who)}"}, timeout=30)
        case.validate_response(answer, checks=CHECKS)

    try:
        look()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE
        assert operation.body is operation.query is None, "there is something to get wrong"


def test_every_operation_says_what_it_does_in_a_sentence() -> None:
    assert [each.name for each in OPERATIONS if not each.summary.endswith(".")] == []


def test_no_two_operations_have_one_name() -> None:
    names = [each.name for each in OPERATIONS]

    assert len(set(names)) == len(names)


def test_the_page_for_people_lists_every_path_and_fetches_nothing(server: Served) -> None:
    page = httpx.get(f"{server.url}/api")

    assert [each.path for each in OPERATIONS if html.escape(each.path) not in page.text] == []
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"<script|<link|src=|@import|url\(", page.text)
