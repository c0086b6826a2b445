"""The doors of one process: who gets in, what is answered, and what is left when the process is gone."""

from __future__ import annotations

import json
import netrc
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from tradewind.boot.credentials import doorway as doorways
from tradewind.boot.credentials.doors import DOORS, Place, open_for, past_proxies
from tradewind.boot.credentials.doorway import Doorway
from tradewind.boot.credentials.grant import Grant
from tradewind.boot.credentials.porter import Desk, answer_to
from tradewind.model.secret import Secret

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
PLACE = Place(address="127.0.0.1:4000", token="door-token", directory="/place", python="/usr/bin/python3")
SRC = str(Path(__file__).parents[2] / "src")


def grant(door: str, *, ends: datetime | None = None, **secrets: str) -> Grant:
    return Grant(
        name=door,
        door=door,
        secrets={name: Secret(text) for name, text in secrets.items()},
        issued_at=NOW,
        expires_at=ends,
    )


AWS = {"AccessKeyId": "ASIA1", "SecretAccessKey": "hush", "Token": "session"}


def desk(**answer: object) -> Desk:
    desk = Desk()
    whole = {"body": {"a": 1}, "until": None, "ended": "it ended", "seconds_left": None, "only": None, **answer}
    desk.read(json.dumps({"token": "t0ken", "directory": "", "files": {}, "answers": {"/aws": whole}}))
    return desk


@pytest.mark.parametrize(
    ("path", "shown", "status"),
    [
        ("/aws", ["t0ken"], 200),
        ("/aws/", ["t0ken"], 200),
        ("/aws?x=1", ["Bearer t0ken"], 200),
        ("/t0ken/aws", [], 200),
        ("/aws", [], 401),
        ("/aws", [""], 401),
        ("/aws", ["t0ke"], 401),
        ("/aws", ["t0kenn", "T0KEN"], 401),
        ("/aws", ["tökén"], 401),
        ("//aws", [], 401),
        ("/wrong/aws", [], 401),
        ("/aws/t0ken", [], 401),
        ("/?t0ken", [], 401),
        ("/gcp", ["t0ken"], 404),
        ("/", ["t0ken"], 404),
        ("/t0ken", [], 404),
    ],
)
def test_only_who_shows_the_token_is_answered(path: str, shown: list[str], status: int) -> None:
    assert answer_to(desk(), path, shown, 0.0)[0] == status


def test_a_door_that_was_told_nothing_opens_to_nobody() -> None:
    for shown in ([], [""], ["Bearer "]):
        assert answer_to(Desk(), "/aws", shown, 0.0)[0] == 401
    assert answer_to(Desk(), "//aws", [], 0.0)[0] == 401


@pytest.mark.parametrize(("now", "status"), [(99.9, 200), (100.0, 403), (1e9, 403)])
def test_what_has_ended_is_refused_with_its_reason(now: float, status: int) -> None:
    given, body = answer_to(desk(until=100.0), "/aws", ["t0ken"], now)
    assert given == status
    assert ("it ended" in body.values()) == (status == 403)


def test_how_long_it_holds_is_counted_when_it_is_asked() -> None:
    answered = answer_to(desk(until=100.0, seconds_left="expires_in"), "/aws", ["t0ken"], 40.0)
    assert answered == (200, {"a": 1, "expires_in": 60})


@pytest.mark.parametrize(
    ("query", "status"),
    [("resource=https://storage.azure.com/", 200), ("", 200), ("resource=https://management.azure.com/", 400)],
)
def test_a_token_for_one_service_is_not_given_for_another(query: str, status: int) -> None:
    only = ("resource", "https://storage.azure.com")
    assert answer_to(desk(only=only), f"/aws?{query}", ["t0ken"], 0.0)[0] == status


@pytest.mark.parametrize("door", ["aws", "gcp", "azure"])
def test_a_door_that_is_asked_puts_no_secret_into_variables_or_files(door: str) -> None:
    secrets = {"aws": AWS}.get(door, {"access_token": "hush"})
    opening = open_for([grant(door, ends=NOW + timedelta(hours=1), **secrets)], PLACE)
    told = json.dumps([dict(opening.variables), dict(opening.files), dict(opening.defaults)])
    assert not [text for text in ("hush", "ASIA1", '"session"') if text in told]
    assert "hush" in json.dumps([dict(answer.body) for answer in opening.answers.values()])


def test_every_door_can_be_open_at_once() -> None:
    secrets = {
        "aws": AWS,
        "copernicus": {"AccessKeyId": "C", "SecretAccessKey": "c"},
        "earthdata": {"user": "u", "password": "p"},
        "variables": {"MY_TOKEN": "m"},
    }
    grants = [grant(door, **secrets.get(door, {"access_token": "x"})) for door in DOORS]
    opening = open_for(grants, PLACE)
    assert opening.files["aws-config"].startswith("[default]\n[profile cdse]\ncredential_process = ")
    assert not opening.hidden & set(opening.variables), "what one door needs, another hides"


def test_a_grant_shows_names_and_no_secret() -> None:
    shown = repr(grant("aws", **AWS))
    assert "SecretAccessKey" in shown
    assert not [text for text in AWS.values() if text in shown]


@pytest.mark.parametrize(("life_s", "renewed_after_s"), [(3600, 1800), (900, 450), (100, 60), (30, 60), (None, None)])
def test_renewal_is_due_at_half_of_a_life(life_s: float | None, renewed_after_s: float | None) -> None:
    ends = None if life_s is None else NOW + timedelta(seconds=life_s)
    due = None if renewed_after_s is None else NOW + timedelta(seconds=renewed_after_s)
    assert grant("aws", ends=ends, **AWS).renew_at() == due


# -- on this machine ---------------------------------------------------------------------------------------------------


def kept_by(pid: int) -> list[Path]:
    """Return the directories that a process keeps for its doors."""
    return list(Path(doorways.SHARED_MEMORY).glob(f"{doorways.PREFIX}{pid}-*"))


@pytest.fixture(autouse=True)
def _own_variables() -> Iterator[None]:
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)
    assert kept_by(os.getpid()) == []


def ask(variables: dict[str, str] | os._Environ[str] = os.environ) -> dict[str, str]:
    token = Path(variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"]).read_text()
    address = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
    request = urllib.request.Request(address, headers={"Authorization": token})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return dict(json.load(answer))


def porters_of(pid: int) -> list[psutil.Process]:
    """Return who stands at a process's doors."""
    return [child for child in psutil.Process(pid).children() if str(doorways.PORTER) in child.cmdline()]


def eventually(true: Callable[[], object], what: str, within_s: float = 10.0) -> None:
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def test_what_is_handed_over_is_answered_at_once_and_replaced_by_the_next() -> None:
    doorway = Doorway()
    try:
        doorway.update({"aws": grant("aws", **AWS)})
        assert ask()["AccessKeyId"] == "ASIA1"
        doorway.update({"aws": grant("aws", **{**AWS, "AccessKeyId": "ASIA2"})})
        assert ask()["AccessKeyId"] == "ASIA2"
    finally:
        doorway.close()
    with pytest.raises((urllib.error.URLError, FileNotFoundError)):
        ask()


def test_files_are_for_their_user_alone_and_no_argument_holds_a_token() -> None:
    doorway = Doorway()
    try:
        doorway.update({"aws": grant("aws", **AWS), "earthdata": grant("earthdata", user="u", password="p")})
        (directory,) = kept_by(os.getpid())
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}
        (porter,) = porters_of(os.getpid())
        told = " ".join(porter.cmdline()) + repr(porter.environ())
        assert os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"] not in told
    finally:
        doorway.close()


def test_another_stands_at_the_door_when_one_is_killed() -> None:
    doorway = Doorway()
    try:
        doorway.update({"aws": grant("aws", **AWS)})
        (porter,) = porters_of(os.getpid())
        porter.kill()
        assert ask()["AccessKeyId"] == "ASIA1"
        assert porters_of(os.getpid()) != [porter]
    finally:
        doorway.close()


def test_files_that_a_log_out_swept_away_come_back() -> None:
    doorway = Doorway()
    try:
        doorway.update({"earthdata": grant("earthdata", user="u", password="p")})
        (directory,) = kept_by(os.getpid())
        shutil.rmtree(directory)
        eventually(lambda: Path(os.environ["NETRC"]).exists(), "the file comes back")
        assert stat.S_IMODE(Path(os.environ["NETRC"]).stat().st_mode) == 0o600
    finally:
        doorway.close()


HOLDER = """
import ctypes, sys
from datetime import UTC, datetime
from tradewind.boot.credentials.doorway import Doorway
from tradewind.boot.credentials.grant import Grant
from tradewind.model.secret import Secret
secrets = {name: Secret("x") for name in ("AccessKeyId", "SecretAccessKey", "Token")}
doorway = Doorway()
doorway.update({"aws": Grant(name="aws", door="aws", secrets=secrets, issued_at=datetime.now(UTC))})
import json, os
print(json.dumps(dict(os.environ)), flush=True)
ctypes.PyDLL(None).sleep(int(sys.argv[1]))  # holds the interpreter's lock, as a library may that asks for credentials
"""


def holder(seconds: int) -> tuple[subprocess.Popen[str], dict[str, str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": SRC},
    )
    assert process.stdout is not None
    return process, json.loads(process.stdout.readline())


def test_the_door_answers_while_a_task_holds_the_interpreter() -> None:
    process, variables = holder(60)
    try:
        assert ask(variables)["AccessKeyId"] == "x"
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()
    eventually(lambda: not kept_by(process.pid), "the files are gone")


def test_a_killed_process_leaves_no_door_and_no_file() -> None:
    process, variables = holder(60)
    (porter,) = porters_of(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    eventually(lambda: not porter.is_running() or porter.status() == psutil.STATUS_ZOMBIE, "the porter goes")
    eventually(lambda: not kept_by(process.pid), "the files are gone")
    with pytest.raises((urllib.error.URLError, FileNotFoundError)):
        ask(variables)


def test_the_next_process_takes_away_what_two_killed_ones_left() -> None:
    process, _ = holder(60)
    (porter,) = porters_of(process.pid)
    (left,) = kept_by(process.pid)
    porter.suspend()
    process.kill()
    process.communicate()
    porter.kill()
    eventually(lambda: not porter.is_running() or porter.status() == psutil.STATUS_ZOMBIE, "the porter goes")
    assert left.exists()
    doorways.sweep()
    assert not left.exists()


@pytest.mark.parametrize(
    "password", ["plain", "two words", 'a "quoted" one', "back\\slash", "#hash", "tab\there", "@:%"]
)
def test_a_password_of_any_signs_is_read_from_the_netrc_file_as_it_is(tmp_path: Path, password: str) -> None:
    opening = open_for((grant("earthdata", user="me", password=password),), PLACE)
    (tmp_path / "netrc").write_text(opening.files["netrc"], encoding="utf-8")
    found = netrc.netrc(str(tmp_path / "netrc")).authenticators("urs.earthdata.nasa.gov")
    assert found is not None
    assert (found[0], found[2]) == ("me", password)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"NO_PROXY": "lab.example.org"}, None),
        ({"HTTP_PROXY": "http://proxy:3128"}, "127.0.0.1,localhost"),
        ({"all_proxy": "socks5://proxy", "NO_PROXY": "lab, 127.0.0.1"}, "lab,127.0.0.1,localhost"),
        ({"http_proxy": "http://proxy", "no_proxy": "a", "NO_PROXY": "b"}, "a,127.0.0.1,localhost"),
        ({"http_proxy": "http://proxy", "no_proxy": "*"}, None),
    ],
)  # fmt: skip
def test_a_proxy_is_told_to_keep_out_of_loopback(environ: dict[str, str], expected: str | None) -> None:
    assert past_proxies(environ) == ({} if expected is None else {"no_proxy": expected, "NO_PROXY": expected})
    again = {**environ, **past_proxies(environ)}
    assert {**again, **past_proxies(again)} == again


def test_a_door_is_found_on_a_machine_that_has_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    doorway = Doorway()
    try:
        doorway.update({"aws": grant("aws", **AWS)})
        request = urllib.request.Request(
            os.environ["AWS_CONTAINER_CREDENTIALS_FULL_URI"],
            headers={"Authorization": os.environ["AWS_CONTAINER_AUTHORIZATION_TOKEN"]},
        )
        with urllib.request.build_opener().open(request, timeout=10) as answer:
            assert json.load(answer)["SecretAccessKey"] == "hush"
    finally:
        doorway.close()
        os.environ.clear()
        os.environ.update(before)
