"""A login node behind a real sshd, without any queue: how it is reached, and what is said where it isn't."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import pytest_asyncio

from tests.line import sshd as servers
from tests.line.sshd import USER, Sshd
from tradewind.errors import ConfigError, Unavailable
from tradewind.model.instance import Contact, Marks, Role
from tradewind.providers.base import ProviderSettings
from tradewind.providers.batch.books import Batch
from tradewind.providers.batch.login import LoginNode, login_host

pytestmark = pytest.mark.skipif(bool(servers.MISSING), reason=servers.MISSING or "it is there")

MARKS = Marks(installation="mine", workspace="lab", cluster="tide", instance="w", order="order-1", role=Role.WORKER)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with servers.sshd(tmp_path_factory.mktemp("login")) as running:
        yield running


class Laptop:
    """A machine with its own state and settings."""

    def __init__(self, server: Sshd, directory: Path) -> None:
        self.server = server
        self.directory = directory
        self.there = directory / "there"
        self.nodes: list[LoginNode] = []

    def node(self, **changed: Any) -> LoginNode:
        table = {
            "login": f"{USER}@127.0.0.1:{self.server.port}",
            "key": str(self.server.key),
            "known_hosts": str(self.server.known_hosts),
            "ssh_config": str(self.directory / "ssh_config"),
            "directory": str(self.there),
            "environment": "/opt/ours",
        }
        settings = ProviderSettings(
            installation="mine", state_directory=str(self.directory / "state"), options=table | changed
        )
        made = LoginNode("slurm", settings, MappingProxyType({"OURS": "set"}))
        self.nodes.append(made)
        return made


@pytest_asyncio.fixture
async def laptop(server: Sshd, tmp_path: Path) -> AsyncIterator[Laptop]:
    made = Laptop(server, tmp_path)
    yield made
    for node in made.nodes:
        await node.aclose()


@pytest.mark.parametrize(
    ("login", "user", "host", "port"),
    [
        ("login.example.org", None, "login.example.org", None),
        ("me@login.example.org", "me", "login.example.org", None),
        ("me@login1:2222", "me", "login1", 2222),
    ],
)
def test_a_login_node_is_written_as_for_ssh(login: str, user: str | None, host: str, port: int | None) -> None:
    found = login_host("slurm", {"login": login})

    assert (found.user, found.address, found.port) == (user, host, port)


@pytest.mark.parametrize("login", ["", "me@", "ssh me@login", "-oProxyCommand=x", "me@login:port"])
def test_what_can_t_be_a_login_node_is_refused(login: str) -> None:
    with pytest.raises(ConfigError, match="write it as for ssh"):
        login_host("slurm", {"login": login})


async def test_commands_run_there_with_few_variables_and_their_input(
    laptop: Laptop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-the-laptop")

    said = await laptop.node().runner.run(["sh", "-c", "cat; echo $OURS; env | grep -c SECRET; exit 3"], text="script ")

    assert (said.code, said.out.split()) == (3, ["script", "set", "0"])


async def test_a_command_that_isn_t_there_is_told_with_the_path_it_was_looked_for_on(laptop: Laptop) -> None:
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1 has no sbotch on its PATH \(/"):
        await laptop.node().runner.run(["sbotch"])


async def test_a_command_that_hangs_is_told_and_others_go_on_meanwhile(laptop: Laptop) -> None:
    node = laptop.node()
    hanging = asyncio.create_task(node.runner.run(["sleep", "30"], patience_s=2))

    assert (await node.runner.run(["true"])).code == 0
    with pytest.raises(Unavailable, match=r"sleep on 127\.0\.0\.1 didn't answer"):
        await hanging
    assert (await node.runner.run(["true"])).code == 0


async def test_notes_that_were_left_there_are_in_our_records_after_a_look(laptop: Laptop) -> None:
    node = laptop.node()
    await node.look(["order-1"])
    run = laptop.there / "runs" / "order-1"
    run.mkdir()
    (run / "contact.json").write_text('{"scheduler": "tls://n1:1", "agent": "https://n1:2", "dashboard": null}')

    await node.look(["order-1", "order-2"])

    assert node.books.records.run("order-1").contact() == Contact(scheduler="tls://n1:1", agent="https://n1:2")
    assert not node.books.records.run("order-2").noted("contact.json")
    assert time.time() - (laptop.there / "heard").stat().st_mtime < 5


async def test_notes_whose_answer_was_lost_are_told_again(laptop: Laptop) -> None:
    node = laptop.node()
    await node.look(["order-1"])
    (laptop.there / "runs" / "order-1").mkdir()
    (laptop.there / "runs" / "order-1" / "ready").touch()
    await node.ask("look", orders={"order-1": []}, closed=[], awaited=[])  # nobody keeps what it says

    await node.look(["order-1"])

    assert node.books.records.run("order-1").noted("ready")


async def test_a_note_that_is_waited_for_pokes(laptop: Laptop) -> None:
    node, poked = laptop.node(), asyncio.Event()
    node.watch("order-1", poked.set)
    await node.look(["order-1"])
    (laptop.there / "runs" / "order-1").mkdir()
    poked.clear()

    (laptop.there / "runs" / "order-1" / "contact.json").write_text("{}")

    await asyncio.wait_for(poked.wait(), 10)


async def test_letters_are_for_the_user_alone_and_go_when_they_are_given_up(laptop: Laptop) -> None:
    node = laptop.node()
    await node.deliver("b1", [{"keys": "kept"}])
    letter = laptop.there / "batches" / "b1" / "order-0.json"
    assert letter.stat().st_mode & 0o077 == 0
    assert not list(laptop.directory.glob("state/**/order-0.json"))

    node.books.orders.mkdir(parents=True)
    (node.books.orders / "order-1").write_text('{"batch": "b1", "index": 0}')
    await node.give_up(["order-1"])

    assert not letter.exists()


async def test_letters_of_a_submission_that_was_refused_go_at_once(laptop: Laptop) -> None:
    node = laptop.node()
    batch = Batch(id="b1", marks=(MARKS,), submitted_at=datetime.now(UTC), job=None)
    node.books.open()
    node.books.write(batch)
    await node.deliver("b1", [{"keys": "kept"}])

    await node.withdraw(batch)

    assert not (laptop.there / "batches" / "b1").exists()
    assert node.books.find(MARKS.order) is None


async def test_letters_go_though_who_looked_lost_patience(laptop: Laptop) -> None:
    node = laptop.node()
    await node.deliver("b1", [{"keys": "kept"}])
    node.closed("b1")

    looking = asyncio.create_task(node.look(["order-1"]))
    await asyncio.sleep(0)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await node.look([])

    assert not (laptop.there / "batches" / "b1").exists()


async def test_two_laptops_don_t_submit_at_the_same_time(server: Sshd, laptop: Laptop, tmp_path: Path) -> None:
    one, other, order = laptop.node(), laptop.node(), []

    async def submit(node: LoginNode, name: str) -> None:
        async with node.alone():
            order.append(name)
            await asyncio.sleep(0.3)
            order.append(name)

    await asyncio.gather(submit(one, "one"), submit(other, "other"))

    assert order in (["one", "one", "other", "other"], ["other", "other", "one", "one"])


async def test_a_lock_outlasts_its_connection_for_as_long_as_the_command_runs(laptop: Laptop) -> None:
    one, other = laptop.node(), laptop.node()
    await other.hello()
    began, done = laptop.directory / "began", laptop.directory / "done"
    async with one.alone():
        submitting = asyncio.create_task(
            one.runner.run(["sh", "-c", f"touch {began}; sleep 1.5; touch {done}"], keeps=(1,), patience_s=10)
        )
        until = time.monotonic() + 20
        while not began.exists():
            assert time.monotonic() < until
            await asyncio.sleep(0.05)
        await one.line.aclose()
        with pytest.raises(Unavailable):
            await submitting

    async with other.alone():
        assert done.exists()


async def test_a_connection_that_broke_is_made_again(server: Sshd, laptop: Laptop) -> None:
    node = laptop.node()
    assert (await node.runner.run(["true"])).code == 0

    server.cut()

    until = time.monotonic() + 20
    while True:
        try:
            assert (await node.runner.run(["true"])).code == 0
            break
        except Unavailable:
            assert time.monotonic() < until
            await asyncio.sleep(0.2)


async def test_a_login_node_behind_a_jump_host_is_reached_as_the_user_s_ssh_settings_say(
    server: Sshd, laptop: Laptop, tmp_path: Path
) -> None:
    (laptop.directory / "ssh_config").write_text(
        f"Host cluster\n  HostName 127.0.0.1\n  Port {server.port}\n  User {USER}\n  ProxyJump jump\n"
        f"Host jump\n  HostName 127.0.0.1\n  Port {server.port}\n  User {USER}\n"
        f"Host *\n  IdentityFile {server.key}\n  UserKnownHostsFile {server.known_hosts}\n"
    )

    hello = await laptop.node(login="cluster", key=None).hello()

    assert hello["uid"] == os.getuid()


async def test_one_that_nobody_answers_at_is_told_within_seconds(laptop: Laptop) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()

    with pytest.raises(Unavailable, match=rf"can't be reached.*`ssh -p {port} {USER}@127\.0\.0\.1`"):
        await laptop.node(login=f"{USER}@127.0.0.1:{port}").open()

    assert time.monotonic() - began < 5


async def test_one_whose_key_isn_t_known_is_refused_with_the_command_that_trusts_it(laptop: Laptop) -> None:
    with pytest.raises(ConfigError, match=r"isn't known, so it may be anybody.*ssh-keyscan"):
        await laptop.node(known_hosts=str(laptop.directory / "nothing")).open()


async def test_one_that_lets_nobody_through_is_told_as_such(tmp_path: Path, tmp_path_factory: Any) -> None:
    with servers.sshd(tmp_path_factory.mktemp("closed"), "AllowTcpForwarding no\n") as closed:
        node = Laptop(closed, tmp_path).node()

        with pytest.raises(OSError, match="lets no connection through.*AllowTcpForwarding"):
            await node.near(Contact(scheduler="tls://127.0.0.1:1", agent=f"https://127.0.0.1:{closed.port}"))

        await node.aclose()


async def test_a_node_s_port_is_reached_through_it(server: Sshd, laptop: Laptop) -> None:
    far = f"https://127.0.0.1:{server.port}"  # sshd itself says something first

    near = await laptop.node().near(Contact(scheduler=far, agent=far))

    reader, writer = await asyncio.open_connection("127.0.0.1", int(near.agent.rpartition(":")[2]))
    assert (await asyncio.wait_for(reader.readline(), 10)).startswith(b"SSH-2.0")
    writer.close()


async def test_without_a_tunnel_nodes_are_reached_by_their_own_addresses(laptop: Laptop) -> None:
    contact = Contact(scheduler="tls://n1:1", agent="https://n1:2")

    assert await laptop.node(tunnel=False).near(contact) == contact


def python_of(*versions: str) -> str | None:
    """Return a Python of one of these versions, where there is one."""
    for version in versions:
        found = [shutil.which(f"python{version}"), *Path.home().glob(f".pyenv/versions/{version}.*/bin/python3")]
        for path in (str(one) for one in found if one is not None):
            if not subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode:
                return path
    return None


OLD, OLDEST = python_of("3.8", "3.7", "3.6"), python_of("3.9")


@pytest.mark.skipif(OLDEST is None, reason="there is no Python 3.9")
async def test_python_3_9_is_new_enough_for_a_login_node(laptop: Laptop) -> None:
    node = laptop.node(python=OLDEST)

    await node.look(["order-1"])

    assert (await node.runner.run(["echo", "hello"])).out == "hello\n"
    assert str((await node.hello())["python"]).startswith("3.9.")


@pytest.mark.skipif(OLD is None, reason="there is no Python older than 3.9")
async def test_a_python_that_is_too_old_is_told_with_what_to_write(laptop: Laptop) -> None:
    with pytest.raises(ConfigError, match=r"Python 3\.9 or newer is needed, and this is 3\..*into \[slurm\] as python"):
        await laptop.node(python=OLD).open()


async def test_what_must_be_mended_is_named_as_the_queue_s_settings_call_it_whoever_meets_it(laptop: Laptop) -> None:
    with pytest.raises(Unavailable, match=r"write its path into \[slurm\] as python"):
        await laptop.node(python="/opt/none/python3").runner.run(["true"])


async def test_a_directory_that_can_t_be_made_is_told(laptop: Laptop) -> None:
    with pytest.raises(
        ConfigError, match=r"\[slurm\] directory can't be used on 127\.0\.0\.1: /proc/ours can't be made"
    ):
        await laptop.node(directory="/proc/ours").open()


async def test_a_directory_there_whose_name_systems_misread_is_refused(laptop: Laptop) -> None:
    with pytest.raises(ConfigError, match=r"my work.*set `directory` in \[slurm\]"):
        await laptop.node(directory=str(laptop.directory / "my work")).open()
