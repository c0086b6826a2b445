"""Several processes on one database: real ones, let go at the same moment."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from store_records import MINUTE, SECRETS, T0, hold, make_cluster, make_event, url_of

from tradewind.store.store import Changes, Store

SCRIPT = """
import asyncio, sys
from dataclasses import replace
from store_records import *
from tradewind.errors import NameTaken

url, me = sys.argv[1], sys.argv[2]

def wait_for_the_others():
    print("ready", flush=True)
    sys.stdin.readline()

async def main():
{body}
    await store.aclose()

asyncio.run(main())
"""


def start(url: str, body: str, me: str) -> subprocess.Popen[str]:
    """Start a process that runs ``body`` and return when it waits for the others."""
    script = SCRIPT.format(body="\n".join(f"    {line}" for line in body.strip().splitlines()))
    process = subprocess.Popen(
        [sys.executable, "-c", script, url, me],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def race(url: str, body: str, count: int = 2) -> list[str]:
    """Run ``body`` in ``count`` processes from the same moment; return what each printed."""
    processes = [start(url, body, f"p{number}") for number in range(count)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * count
    return printed


def kill_after(process: subprocess.Popen[str], seconds: float) -> None:
    """Let the process go, and end it without a warning while it works."""
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    time.sleep(seconds)
    process.kill()
    process.communicate()


def test_processes_make_the_same_new_files_and_all_can_use_them(path: Path) -> None:
    body = """
wait_for_the_others()
for number in range(3):
    store = await Store.open(f"{url}-{number}")
    await store.create_cluster(make_cluster(me, name=me), SECRETS)
    print(number, len(await store.list_clusters("lab")))
    await store.aclose()
"""
    printed = "".join(race(url_of(path), body))

    for number in range(3):
        assert f"{number} 2\n" in printed


def test_processes_make_the_tables_of_the_same_empty_database_and_all_can_use_them(empty_postgres_url: str) -> None:
    body = """
wait_for_the_others()
store = await Store.open(url)
await store.create_cluster(make_cluster(me, name=me), SECRETS)
"""
    race(empty_postgres_url, body, 3)

    with psycopg.connect(empty_postgres_url) as connection:
        assert connection.execute("SELECT count(*) FROM clusters").fetchone() == (3,)


async def test_of_processes_racing_for_names_each_name_is_won_once(url: str, store: Store) -> None:
    body = """
store = await Store.open(url)
wait_for_the_others()
for number in range(20):
    try:
        await store.create_cluster(make_cluster(f"{me}-{number}", name=f"n{number}"), SECRETS)
    except NameTaken:
        print("taken")
    else:
        print("won")
"""
    printed = "".join(race(url, body))

    assert printed.count("won") == 20
    assert printed.count("taken") == 20
    clusters = await store.list_clusters("lab")
    assert sorted(cluster.name for cluster in clusters) == sorted(f"n{number}" for number in range(20))
    assert all([await store.secrets(cluster.id) for cluster in clusters])


async def test_of_processes_racing_for_leases_each_is_held_once(url: str, store: Store) -> None:
    for number in range(20):
        await store.create_cluster(make_cluster(f"c{number}", name=f"n{number}"), SECRETS)
    body = """
store = await Store.open(url)
wait_for_the_others()
for number in range(20):
    if await store.take_lease(f"c{number}", me, T0, T0 + MINUTE):
        print(f"c{number}")
"""
    held = "".join(race(url, body)).split()

    assert sorted(held) == sorted(f"c{number}" for number in range(20))


async def test_no_change_of_intent_is_lost_between_processes_and_saves(url: str, store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    body = """
store = await Store.open(url)
wait_for_the_others()
if me == "p0":
    lease = await hold(store)
    for number in range(30):
        cluster = (await store.load("c1")).cluster
        await store.save(lease, Changes(cluster=replace(cluster, failed_launches=number), events=(make_event(),)))
else:
    for number in range(30):
        add = lambda intent: replace(intent, dismiss=(*intent.dismiss, f"{me}-{number}"))
        await store.change_intent("c1", add, T0)
"""
    race(url, body, 3)

    cluster = await store.get_cluster("c1")
    assert sorted(cluster.intent.dismiss) == sorted(f"p{who}-{number}" for who in (1, 2) for number in range(30))
    assert cluster.failed_launches == 29
    assert len(await store.events("c1")) == 30
    assert await store.revision("c1") == 1 + 30 + 60


async def test_a_process_killed_in_the_middle_of_saving_leaves_no_half_round(url: str, store: Store) -> None:
    await store.create_cluster(make_cluster(), SECRETS)
    body = """
store = await Store.open(url)
lease = await hold(store)
wait_for_the_others()
for number in range(1_000_000):
    instances = tuple(make_instance(f"i{number}-{part}") for part in range(20))
    usages = tuple(make_usage(instance) for instance in instances)
    await store.save(lease, Changes(instances=instances, usages=usages, events=(make_event(str(number)),)))
"""
    kill_after(start(url, body, "p0"), seconds=0.3)

    rounds = len(await store.events("c1"))
    assert rounds > 0
    assert len(await store.instances("c1")) == 20 * rounds
    assert len(await store.usages(["c1"])) == 20 * rounds
    await store.save(await hold(store, holder="h2", now=T0 + MINUTE), Changes(events=(make_event("after"),)))


def test_only_its_owner_can_read_what_the_store_makes(path: Path) -> None:
    old = os.umask(0o022)
    try:
        body = """
store = await Store.open(url)
await store.create_cluster(make_cluster(), SECRETS)
wait_for_the_others()
"""
        process = start(url_of(path), body, "p0")
    finally:
        os.umask(old)

    made = {file.name: oct(file.stat().st_mode & 0o777) for file in [path.parent, *path.parent.iterdir()]}

    process.communicate("\n")
    file, directory = "0o600", "0o700"
    assert made == {
        "data": directory,
        "tradewind.db": file,
        "tradewind.db-shm": file,
        "tradewind.db-wal": file,
    }
