"""A scheduler with its agent, a worker or two, and somebody who asks it over TLS."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from distributed import Scheduler, Worker
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from tradewind.agent.scheduler import Agent, AgentSettings, attach
from tradewind.boot.process import KeyPair
from tradewind.boot.tls import Authority
from tradewind.model.secret import Secret
from tradewind.wire import parse_status_page

TOKEN = "a-token-for-tests"


@pytest.fixture(scope="session")
def keys() -> KeyPair:
    now = dt.datetime.now(dt.UTC)
    return Authority.create("the-cluster", now).issue("scheduler", now, hosts=("127.0.0.1",))


@dataclass
class Asker:
    """Asks an agent as the engine does, but with nothing of ours in between."""

    agent: Agent
    context: ssl.SSLContext

    async def ask(self, path, body=None, *, token=TOKEN, raw=None):
        """Return status and JSON of an answer."""
        payload = raw if raw is not None else None if body is None else json.dumps(body).encode()
        request = HTTPRequest(
            self.agent.url + path,
            method="GET" if payload is None else "POST",
            body=payload,
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            ssl_options=self.context,
            request_timeout=10,
        )
        response = await AsyncHTTPClient(force_instance=True).fetch(request, raise_error=False)
        return response.code, json.loads(response.body)

    async def page(self, query=""):
        """Return the status page, through the parser that the engine uses."""
        status, data = await self.ask(f"/v1/status{query}")
        assert status == 200, data
        return parse_status_page(json.dumps(data).encode(), "the-cluster")

    async def page_when(self, condition, *, query="", within=20.0):
        """Return the first page that fulfils ``condition``, or fail with the last one that didn't."""
        page = None
        try:
            async with asyncio.timeout(within):
                while not condition(page := await self.page(query)):  # noqa: ASYNC110 - it tells nobody when it changes
                    await asyncio.sleep(0.05)
                return page
        except TimeoutError:
            pytest.fail(f"no page was as expected within {within} s; the last one: {page}")


@dataclass
class Rig:
    scheduler: Scheduler
    workers: list[Worker]
    agent: Agent
    asker: Asker

    async def until(self, condition, within=6.0):
        """Return as soon as ``condition()`` is true."""
        async with asyncio.timeout(within):
            while not condition():  # noqa: ASYNC110 - Dask tells nobody when this changes
                await asyncio.sleep(0.05)


@pytest.fixture
def rig(keys):
    """Return a context manager that starts a scheduler with an agent, and workers named w0, w1, …"""

    @asynccontextmanager
    async def start(*, workers=1, **settings):
        context = ssl.create_default_context(cadata=keys.authority)
        async with Scheduler(dashboard=False, dashboard_address="127.0.0.1:0", port=0, host="127.0.0.1") as scheduler:
            agent = attach(
                scheduler, AgentSettings(cluster_id="the-cluster", token=Secret(TOKEN), keys=keys, **settings)
            )
            started = [
                await Worker(scheduler.address, name=f"w{n}", nthreads=1, memory_limit=2**30, dashboard=False)
                for n in range(workers)
            ]
            try:
                yield Rig(scheduler, started, agent, Asker(agent, context))
            finally:
                for worker in started:
                    await worker.close()

    return start
