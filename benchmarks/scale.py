"""One server process and PostgreSQL with many clusters: ``PYTHONPATH=src:. python benchmarks/scale.py``.

A server on the fake infrastructure, which lives in its own process, so its memory and its processor time count too.
Clusters of 20 instances are made over HTTP, in steps; at each step the server is left alone for a while, which tells
what a quiet round costs, and then asked by 50 clients at once.

``--steps 10 100 --seconds 5`` is a short run; ``--plot FILE`` draws, ``--json FILE`` keeps the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from time import perf_counter
from typing import Any

from tests.postgres import running

STEPS = (10, 30, 100, 300, 1000)
WORKERS = 19
CLIENTS = 50
WORKSPACES = 10


def token_of(client: int) -> str:
    """Return the token of one of the clients."""
    return "tw_" + f"client-{client}-".ljust(43, "0")


# The server


async def serve(url: str, directory: Path) -> None:
    """Serve until stdin ends; tell the port first, then figures for every line that is read."""
    import psutil
    import uvicorn

    from tradewind.config import ServeSettings, Settings
    from tradewind.engine.shared import Shared
    from tradewind.model.people import EVERY_SCOPE, MemberRole, Token, User, Workspace
    from tradewind.providers.base import ProviderSettings
    from tradewind.providers.fake import FakeProvider
    from tradewind.providers.registry import open_provider
    from tradewind.server.app import create_app
    from tradewind.server.run import listen, seldom_searched, uvicorn_config
    from tradewind.store.access.audit import By

    listening = listen("127.0.0.1", 0)
    serving = ServeSettings(
        port=listening.getsockname()[1], tls=False, providers=("fake",), requests_per_second=1e6, burst=1_000_000
    )
    settings = Settings(store=url, serve=serving)
    given = ProviderSettings(installation="any", state_directory=str(directory), options={})
    provider = open_provider("fake", given)
    assert isinstance(provider, FakeProvider)
    shared = await Shared.open(settings, directory, link=provider._world.agents)
    people, now = shared.assembly.store.people, shared.assembly.clock.now()
    by = By(user="benchmark", at=now)
    users = []
    for number in range(CLIENTS):
        user = User(id=f"u-{number}", name=f"user{number}", is_operator=False, created_at=now)
        users.append(await people.create_user(user, by))
        token = Token(
            id=f"t-{number}",
            user_id=users[-1].id,
            label="",
            scopes=EVERY_SCOPE,
            workspace=None,
            created_at=now,
            expires_at=None,
        )
        await people.create_token(token, hashlib.sha256(token_of(number).encode()).hexdigest(), by)
    for number in range(WORKSPACES):
        name = f"lab{number}"
        await people.create_workspace(Workspace(name=name, created_at=now), users[number], by)
        for user in users:
            if user is not users[number]:
                await people.join(name, user, MemberRole.ADMIN, by)
    server = uvicorn.Server(uvicorn_config(create_app(shared.assembly, settings), settings, None))
    garbage = seldom_searched()
    await garbage.__aenter__()
    serving_task = asyncio.create_task(server.serve([listening]))
    print(json.dumps({"port": settings.serve.port}), flush=True)
    process, loop = psutil.Process(), asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        figures, times = shared.assembly.engine.figures(), process.cpu_times()
        told = {
            "rounds": figures.rounds,
            "faults": figures.faults,
            "looked_after": figures.looked_after,
            "lag_p50_s": figures.lag_p50_s,
            "lag_p99_s": figures.lag_p99_s,
            "lag_max_s": figures.lag_max_s,
            "cpu_s": times.user + times.system,
            "rss": process.memory_info().rss,
        }
        print(json.dumps(told), flush=True)
    server.should_exit = True
    await serving_task
    await garbage.__aexit__(None, None, None)
    await shared.aclose()


# The clients


@dataclass(slots=True)
class Client:
    """One connection of one person, kept open; as little as HTTP needs, so that it costs the machine little."""

    number: int
    port: int
    times: dict[str, list[float]]
    reader: asyncio.StreamReader = field(init=False)
    writer: asyncio.StreamWriter = field(init=False)

    async def open(self) -> None:
        """Connect."""
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=2**24)

    async def ask(self, kind: str, method: str, path: str, body: object = None) -> Any:
        """Return the answer, and note how long it took."""
        data = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} /api/v1{path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n"
            f"Authorization: Bearer {token_of(self.number)}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        if self.reader.at_eof():
            await self.open()  # a server closes lines that nothing is asked on
        start = perf_counter()
        self.writer.write(head.encode() + data)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        status = int(answer.split(b" ", 2)[1])
        lines = answer.lower().split(b"\r\n")
        length = next((int(line.split(b":")[1]) for line in lines if line.startswith(b"content-length:")), 0)
        text = await self.reader.readexactly(length)
        self.times.setdefault(kind, []).append(perf_counter() - start)
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {status} {text[:500]!r}")
        return json.loads(text) if text else None


def wish(name: str, workspace: str) -> dict[str, Any]:
    """Return the body that asks for a cluster."""
    from tradewind import wire
    from tradewind.model.cluster import ClusterSpec, Lifetimes, Scaling

    long = Lifetimes(idle=timedelta(days=1), no_client=timedelta(days=1))
    scaling = Scaling.fixed(WORKERS)
    spec = ClusterSpec(name=name, workspace=workspace, provider="fake", scaling=scaling, lifetimes=long)
    return {"spec": wire.dump(spec)}


class Server:
    """The other process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def line(self) -> Any:
        """Return what it says next."""
        assert self._process.stdout is not None
        return json.loads(await self._process.stdout.readline())

    async def figures(self) -> Any:
        """Return how it does."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return await self.line()


@contextlib.asynccontextmanager
async def started(url: str, directory: str) -> AsyncIterator[Server]:
    """Run a server inside."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", url, directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        yield Server(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def at_once(clients: Sequence[Client], work: Callable[[Client], Awaitable[None]]) -> None:
    """Let all of them work."""
    await asyncio.gather(*(work(client) for client in clients))


async def create(clients: Sequence[Client], first: int, last: int, known: list[tuple[str, str]]) -> None:
    """Make clusters, as fast as all clients together can."""
    numbers = iter(range(first, last))

    async def work(client: Client) -> None:
        for number in numbers:
            workspace = f"lab{number % WORKSPACES}"
            body = wish(f"cluster-{number}", workspace)
            made = await client.ask("create", "POST", f"/workspaces/{workspace}/clusters", body)
            known.append((workspace, made["id"]))

    await at_once(clients, work)


async def until_up(client: Client, known: Sequence[tuple[str, str]]) -> None:
    """Wait until every worker of each runs."""
    for workspace, id_ in known:
        while True:
            view = await client.ask("waiting", "GET", f"/workspaces/{workspace}/clusters/{id_}/view")
            if sum(i["status"] == "running" for i in view["instances"]) == WORKERS + 1:
                break
            await asyncio.sleep(0.5)


async def use(clients: Sequence[Client], known: list[tuple[str, str]], seconds: float, pause_s: float) -> None:
    """Ask as people and their programs do: mostly for one cluster, sometimes for a list, now and then for a new one."""
    until = perf_counter() + seconds
    there = tuple(known)

    async def work(client: Client) -> None:
        dice = random.Random(client.number)
        await asyncio.sleep(dice.uniform(0, pause_s))
        while perf_counter() < until:
            workspace, id_ = dice.choice(there)
            at = f"/workspaces/{workspace}/clusters"
            match dice.randrange(50):
                case 0:
                    body = wish(f"more-{len(known)}-{client.number}", workspace)
                    made = await client.ask("new", "POST", at, body)
                    known.append((workspace, made["id"]))
                case 1 | 2 | 3 | 4 | 5:
                    await client.ask("list", "GET", f"{at}?live=true&limit=20")
                case each if each < 20:
                    await client.ask("find", "GET", f"{at}/{id_}")
                case _:
                    await client.ask("view", "GET", f"{at}/{id_}/view")
            await asyncio.sleep(dice.uniform(0, 2 * pause_s))

    await at_once(clients, work)


def quantile(times: Sequence[float], part: float) -> float:
    """Return a quantile."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else 0.0


async def at_rest(server: Server, seconds: float) -> float:
    """Return what share of a processor a server without clusters uses: it looks whether there is anything to do."""
    before = await server.figures()
    await asyncio.sleep(seconds)
    return float((await server.figures())["cpu_s"] - before["cpu_s"]) / seconds


async def step(
    server: Server, clients: list[Client], known: list[tuple[str, str]], count: int, seconds: float, rest: float
) -> Any:
    """Go up to ``count`` clusters and measure; ``rest`` is what a server without any uses."""
    times = clients[0].times
    times.clear()
    first = len(known)
    count = max(count, first + 1)  # while others read, some more were made
    start = perf_counter()
    await create(clients, first, count, known)
    made_s = perf_counter() - start
    await until_up(clients[0], known[first:])
    up_s = perf_counter() - start
    await asyncio.sleep(6)  # every cluster has come to rest
    before = await server.figures()
    await asyncio.sleep(seconds)
    after = await server.figures()
    rounds = after["rounds"] - before["rounds"]
    creates = times.get("create", [])
    times.clear()
    await use(clients, known, seconds, pause_s=0.5)
    busy = await server.figures()
    reads = [time for kind in ("list", "find", "view") for time in times.get(kind, [])]
    figures = {
        "clusters": count,
        "creates_per_s": (count - first) / made_s,
        "all_at_once_create_p50_s": quantile(creates, 0.5),
        "all_at_once_create_p99_s": quantile(creates, 0.99),
        "all_up_s": up_s,
        "rounds_per_s": rounds / seconds,
        "cpu_per_round_s": max(0.0, after["cpu_s"] - before["cpu_s"] - rest * seconds) / max(1, rounds),
        "cpu_share_without_clusters": rest,
        "cpu_share": (after["cpu_s"] - before["cpu_s"]) / seconds,
        "lag_p50_s": after["lag_p50_s"],
        "lag_p99_s": after["lag_p99_s"],
        "lag_max_s": after["lag_max_s"],
        "reads_per_s": len(reads) / seconds,
        "cpu_per_read_s": (busy["cpu_s"] - after["cpu_s"]) / max(1, len(reads)),
        "read_p50_s": quantile(reads, 0.5),
        "read_p99_s": quantile(reads, 0.99),
        "creates_while_used": len(times.get("new", [])),
        "create_p50_s": quantile(times.get("new", []), 0.5),
        "create_p99_s": quantile(times.get("new", []), 0.99),
        **{f"{kind}_p99_s": quantile(times.get(kind, []), 0.99) for kind in ("list", "find", "view")},
        "lag_max_while_read_s": busy["lag_max_s"],
        "rss_mib": busy["rss"] / 2**20,
        "faults": busy["faults"],
    }
    print("  ".join(f"{name} {value:.4g}" for name, value in figures.items()), flush=True)
    return figures


def draw(steps: Sequence[Any], path: Path) -> None:
    """Draw what a round costs, by the number of clusters."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    axis.plot([s["clusters"] for s in steps], [s["cpu_per_round_s"] * 1000 for s in steps], "o-", color="#00657a")
    axis.set_xscale("log")
    axis.set_ylim(bottom=0)
    axis.set_xlabel("live clusters of 20 instances")
    axis.set_ylabel("processor time of the server\nper cluster and round, ms")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(axis="y", alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


async def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", nargs=2, metavar=("URL", "DIRECTORY"), help=argparse.SUPPRESS)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS, help="numbers of clusters, rising")
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if options.serve:
        await serve(options.serve[0], Path(options.serve[1]))
        return
    steps = []
    with running() as postgres, tempfile.TemporaryDirectory() as directory:
        async with started(postgres.create(), directory) as server:
            port = (await server.line())["port"]
            times: dict[str, list[float]] = {}
            clients = [Client(number, port, times) for number in range(CLIENTS)]
            await at_once(clients, Client.open)
            known: list[tuple[str, str]] = []
            rest = await at_rest(server, max(10.0, options.seconds))
            for count in options.steps:
                steps.append(await step(server, clients, known, count, options.seconds, rest))
    if options.json:
        options.json.write_text(json.dumps(steps, indent=1))
    if options.plot:
        draw(steps, options.plot)


if __name__ == "__main__":
    asyncio.run(main())
