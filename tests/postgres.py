"""A real PostgreSQL for a session of tests, and a fresh database of it for each test.

Started without a service: the server's own programs, a temporary directory, a free port of this machine. Its files
are worth nothing, so it never waits for a disk; what is committed survives the death of its processes all the same.
"""

from __future__ import annotations

import asyncio
import ctypes
import itertools
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import psutil
import psycopg
import pytest

from tradewind.store.store import Store

USER = "tradewind"
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 20.0
OPTIONS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "127.0.0.1",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "jit": "off",
    "log_min_messages": "fatal",
    # Not "synchronous_commit = off": it would lose commits when the server is killed, and that is what some tests do.
}
PR_SET_PDEATHSIG = 1


def programs() -> Path | None:
    """Return the directory of the server's programs, the newest where there are several, or None."""
    found = [Path(path).resolve() for path in [shutil.which("postgres")] if path]
    # Debian keeps them off the PATH.
    found += Path("/usr/lib/postgresql").glob("*/bin/postgres")
    versions = sorted(found, key=lambda path: [int(part) for part in path.parts if part.isdecimal()])
    return versions[-1].parent if versions else None


class Postgres:
    """One server of the tests, that can be treated badly."""

    def __init__(self, directory: Path, bin: Path) -> None:
        self.bin = bin
        """Directory of its programs."""
        self.directory = directory
        """Where its files and its socket are."""
        self._data = directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self._numbers = itertools.count(1)
        self._port = _free_port()
        # PostgreSQL refuses to run as root.
        self._user = None if os.geteuid() else _other_user()
        if self._user is not None:
            os.chown(directory, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", USER, "-D", self._data)

    def start(self) -> None:
        """Start it, and return when it answers; always on the same port."""
        settings = OPTIONS | {"port": str(self._port), "unix_socket_directories": str(self.directory)}
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.bin / "postgres", "-D", self._data, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_the_tests if sys.platform == "linux" else None,
                **self._as_user(),
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            try:
                psycopg.connect(self.url_of("postgres"), connect_timeout=5).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.directory / "log").read_text()) from None
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it: ``SIGINT`` ends every connection first, ``SIGQUIT`` nothing. Stopped already is a success."""
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End all of its processes at once, without a warning, as a power cut does."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self._process is not None:
            self._process.wait()
        self._process = None

    def restart(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it, and start it again."""
        self.stop(how)
        self.start()

    def pause(self) -> None:
        """Let it stand still, with its connections open: it takes what is sent, and answers nothing."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.suspend()

    def resume(self) -> None:
        """Let it go on after :meth:`pause`."""
        for process in self._processes():
            with suppress(psutil.NoSuchProcess):
                process.resume()

    def cut(self) -> int:
        """End every connection to it, those under way too; return how many that were."""
        ended = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            row = connection.execute(f"{ended} AND pid <> pg_backend_pid()").fetchone()
        assert row is not None
        return int(row[0])

    def url_of(self, database: str) -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}@127.0.0.1:{self._port}/{database}"

    def socket_url_of(self, database: str) -> str:
        """Return the URL of a database, reached by the socket in the file system."""
        return f"postgresql://{USER}@/{database}?host={self.directory}&port={self._port}"

    def create(self, template: str = "template0", encoding: str = "UTF8") -> str:
        """Make a new database like ``template``, and return its URL."""
        name = f"test_{next(self._numbers)}"
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} ENCODING {encoding}")
        return self.url_of(name)

    def dump(self, url: str, *options: str) -> str:
        """Return what ``pg_dump`` says about a database, without comments."""
        command = [self.bin / "pg_dump", *options, url]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return "\n".join(line for line in done.stdout.splitlines() if line and not line.startswith(("--", "\\")))

    def drop(self, url: str) -> None:
        """Remove a database, and end the connections to it."""
        name = url.rpartition("/")[2]
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    @cached_property
    def template(self) -> str:
        """Name of a database with all tables and nothing in them."""
        url = self.create()
        asyncio.run(_make_tables(url))
        return url.rpartition("/")[2]

    def _processes(self) -> list[psutil.Process]:
        if self._process is None or not psutil.pid_exists(self._process.pid):
            return []
        first = psutil.Process(self._process.pid)
        return [first, *first.children(recursive=True)]

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self.bin / program, *arguments],
            capture_output=True,
            text=True,
            check=False,
            cwd=self.directory,
            **self._as_user(),
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stderr}")

    def _as_user(self) -> dict[str, int | list[int]]:
        if self._user is None:
            return {}
        return {"user": self._user.pw_uid, "group": self._user.pw_gid, "extra_groups": []}


@contextmanager
def running() -> Iterator[Postgres]:
    """Run a server inside; for programs that aren't tests. Raises RuntimeError where PostgreSQL isn't installed."""
    bin = programs()
    if bin is None:
        raise RuntimeError("PostgreSQL isn't installed here; on Debian: apt-get install postgresql")
    # Not below pytest's own directory: that is closed to other users, and the path of a socket must be short.
    with tempfile.TemporaryDirectory(prefix="tradewind-pg-", ignore_cleanup_errors=True) as directory:
        server = Postgres(Path(directory), bin)
        try:
            server.start()
            yield server
        finally:
            server.resume()
            server.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for all tests of this session; whoever treats it badly leaves it running."""
    if programs() is None:
        missing = "PostgreSQL isn't installed here; on Debian: apt-get install postgresql"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    with running() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """A database with all tables and nothing in them."""
    url = postgres.create(postgres.template)
    yield url
    postgres.drop(url)


@pytest.fixture
def empty_postgres_url(postgres: Postgres) -> Iterator[str]:
    """A database without tables."""
    url = postgres.create()
    yield url
    postgres.drop(url)


async def _make_tables(url: str) -> None:
    store = await Store.open(url)
    await store.aclose()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _other_user() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("PostgreSQL can't run as root, and there is no user 'postgres' here to run it as")


def _die_with_the_tests() -> None:
    # A session that is killed must leave no server behind; after a change of user, so it can't be an option of Popen.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
