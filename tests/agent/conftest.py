"""A scheduler with its agent, a worker or two, and somebody who asks it over TLS."""

from __future__ import annotations

import asyncio
import datetime as dt
import ipaddress
import json
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from distributed import Scheduler, Worker
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from tradewind.agent.scheduler import Agent, AgentSettings, attach
from tradewind.boot.process import KeyPair
from tradewind.model.secret import Secret
from tradewind.wire import parse_status_page

TOKEN = "a-token-for-tests"


def _certificate(name, key, *, issuer, issuer_key, authority):
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


@pytest.fixture(scope="session")
def keys() -> KeyPair:
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate("root", root_key, issuer="root", issuer_key=root_key, authority=True)
    leaf = _certificate("scheduler", key, issuer="root", issuer_key=root_key, authority=False)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return KeyPair(authority=root, certificate=leaf, key=Secret(pem))


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

    async def page_when(self, condition, *, query="", within=8.0):
        """Return the first page that fulfils ``condition``."""
        async with asyncio.timeout(within):
            while not condition(page := await self.page(query)):  # noqa: ASYNC110 - it tells nobody when it changes
                await asyncio.sleep(0.05)
            return page


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
