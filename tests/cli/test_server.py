"""The commands about people and sign-ins, and the old ones, asked of a real server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.served import Served, people_of
from tradewind import Cluster
from tradewind.cli import create
from tradewind.client.door import open_api
from tradewind.client.remote.credentials import Credentials, load_credentials, save_credentials
from tradewind.client.software.code import held_by


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Whoever has never signed in anywhere."""
    monkeypatch.setenv("TRADEWIND_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TRADEWIND_CONFIG_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def ada(home: Path, served: Served) -> Served:
    """The server's first user, signed in."""
    served.sign_in(home)
    return served


def done(run: Run, *words: str, **options: object) -> str:
    result = run(*words, **options)
    assert result.exit_code == 0, result.output
    return str(result.stdout)


def test_a_login_by_token_and_fingerprint_makes_the_server_the_one_in_use(home, served, run):
    token = served.token.reveal()
    said = done(run, "login", served.url, "--token", "--fingerprint", served.fingerprint, input=f"{token}\n")
    assert f"Signed in to {served.url} as ada" in said
    assert "workspace default, where you are owner" in said
    assert token not in said
    kept = load_credentials()
    assert (kept.current, kept.of(served.url).token) == (served.url, served.token)
    assert done(run, "login", "--token", input=f"{token}\n").startswith("Signed in")  # known by now: nobody is asked


def test_a_wrong_fingerprint_sends_no_token_and_keeps_nothing(home, served, run):
    wrong = served.fingerprint[:-2] + ("00" if served.fingerprint[-2:] != "00" else "01")
    result = run("login", served.url, "--token", "--fingerprint", wrong, input="tw_x\n")
    assert result.exit_code == 1
    assert served.fingerprint in result.output
    assert load_credentials() == Credentials()


def test_a_stranger_is_never_trusted_where_nobody_can_be_asked(home, served, run):
    result = run("login", served.url, "--token", input="tw_x\n")
    assert result.exit_code == 1
    assert served.fingerprint in result.output
    assert "--fingerprint" in result.output
    assert load_credentials() == Credentials()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("login",), "which server?"),
        (("login", "http://tradewind.example"), "in the clear"),
        (("login", "https://127.0.0.1:1"), "nobody answers"),
        (("workspace", "list"), "you use none: tradewind login"),
        (("cluster", "create"), "sign in to a server"),
        (("accept", "x"), "isn't the link of an invitation"),
        (("logout",), "Nobody was signed in"),
    ],
)
def test_without_a_server_the_next_step_is_said(home, run, words, told):
    result = run(*words)
    assert told in result.output
    assert result.exit_code == (0 if words == ("logout",) else 1)


def test_a_bad_token_is_refused_with_the_command_to_type(ada, home, run):
    good = load_credentials()
    bad = replace(good.of(ada.url), token=type(ada.token)("tw_" + "x" * 43))
    save_credentials(good.with_login(ada.url, bad))
    result = run("cluster", "list")
    assert result.exit_code == 1
    assert f"tradewind login {ada.url}" in result.output


def test_a_cluster_is_created_shown_connected_to_and_stopped_from_terminals(ada, run):
    keywords = ("--n-workers", "1", "--worker-memory", "500 MiB", "--tag", "project=ice", "--idle-timeout", "10m")
    said = done(run, "cluster", "create", "by-hand", *keywords, "--wait")
    assert "by-hand is running" in said
    assert "Cluster.from_name('by-hand')" in said
    try:
        listed = json.loads(done(run, "cluster", "list", "--json"))
        mine = next(line for line in listed if line["name"] == "by-hand")
        assert (mine["owner"], mine["workers_running"], mine["tags"]) == ("ada", 1, {"project": "ice"})
        story = json.loads(done(run, "cluster", "show", "by-hand", "--json"))
        assert story["view"]["cluster"]["spec"]["lifetimes"]["no_client"] is None
        assert "by-hand" in done(run, "cluster", "show", "by-hand")
        assert "scheduler" in done(run, "cluster", "logs", "by-hand").lower()
    finally:
        stopped = done(run, "cluster", "stop", "by-hand", "--yes")
    assert "total" in stopped
    assert any(
        line["key"] == "ice"
        for line in json.loads(done(run, "usage", "show", "--by", "tag:project", "--json"))["lines"]
    )


def test_a_cluster_that_is_created_in_a_terminal_has_its_makers_code_before_anybody_connects(
    ada, run, tmp_path, monkeypatch
):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "icefloe.py").write_text("DRIFT = 1\n")
    monkeypatch.chdir(tmp_path / "code")
    monkeypatch.setenv("TRADEWIND_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    for name in [name for name in os.environ if "INDEX" in name]:  # all other packages come from PyPI
        monkeypatch.delenv(name)
    # As with a server on another machine, which can't read this one's files.
    monkeypatch.setattr(create, "must_stream", lambda place, provider: True)
    said = done(run, "cluster", "create", "equipped", "--n-workers", "0")
    try:
        assert "It has your own code as it is now" in said
        with Cluster.from_name("equipped", show_widget=False) as cluster:
            held = cluster.sync(held_by, cluster.scheduler_comm)
        assert "icefloe.py" in held.contents
        kept = json.loads(done(run, "cluster", "show", "equipped", "--json"))["view"]["cluster"]["environment"]
        assert not kept.get("artifacts")
    finally:
        run("cluster", "stop", "equipped", "--yes")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--n-workers", "many"), "neither a number"),
        (("--tag", "project"), "project=enso"),
        (("--worker-memory", "much"), "16 GiB"),
        (("--provider", "wonderland"), "wonderland"),
        (("--workspace", "elsewhere"), "elsewhere"),
    ],
)
def test_what_cannot_be_created_is_one_line(ada, run, words, told):
    result = run("cluster", "create", *words)
    assert result.exit_code in {1, 2}
    assert told in result.output


def test_the_doctor_finds_the_server_well(ada, run):
    checks = {check["name"]: check for check in json.loads(done(run, "doctor", "--json"))}
    assert all(check["ok"] for check in checks.values()), checks
    assert {"server", "version", "clock", "token", "workspace"} <= set(checks)


def test_a_workspace_is_made_used_and_left_again(ada, run):
    assert "you own it" in done(run, "workspace", "create", "sea-ice", "--title", "The sea ice lab", "--use")
    assert load_credentials().of(ada.url).workspace == "sea-ice"
    listed = done(run, "workspace", "list")
    assert re.search(r"→ +sea-ice +owner", listed)
    assert "The sea ice lab" in listed
    assert "ada" in done(run, "workspace", "show", "sea-ice")
    assert "yours are: default, sea-ice" in run("workspace", "use", "nowhere").output
    done(run, "workspace", "use", "default")


def test_an_invitation_is_made_listed_and_revoked(ada, run):
    made = run("invitation", "create", "grace@example.edu", "--role", "viewer")
    link = made.stdout.strip()
    assert link.startswith(f"{ada.url}/invitations/")
    (mine,) = [one for one in json.loads(done(run, "invitation", "list", "--json")) if one["email"]]
    assert (mine["email"], mine["role"]) == ("grace@example.edu", "viewer")
    assert link.rpartition("#")[2] not in done(run, "invitation", "list", "--json")
    done(run, "invitation", "revoke", mine["id"])
    assert mine["id"] not in done(run, "invitation", "list")
    assert "accept" not in run("accept", link, "--name", "grace").stdout


def test_a_token_is_made_used_and_revoked(ada, home, run):
    text = run("token", "create", "ci", "--scope", "read", "--expires", "1d").stdout.strip()
    assert re.fullmatch(r"tw_[\w-]{43}", text)
    (mine,) = [one for one in json.loads(done(run, "token", "list", "--json")) if one["label"] == "ci"]
    assert text not in done(run, "token", "list")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEWIND_TOKEN", text)
        done(run, "cluster", "list")
        refused = run("cluster", "create", "--provider", "fake", "-n", "0")
        assert "scope" in refused.output
        assert refused.exit_code == 1
    done(run, "token", "revoke", mine["id"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEWIND_TOKEN", text)
        assert run("cluster", "list").exit_code == 1


def test_the_audit_log_says_who_did_what(ada, run):
    done(run, "token", "create", "audited")
    done(run, "invitation", "create")
    entries = json.loads(done(run, "audit", "list", "--json", "--limit", "5"))
    assert entries[0]["action"].startswith("invitation.")
    assert {entry["user"] for entry in entries} == {"ada"}
    assert "invitation" in done(run, "audit", "list")


def test_members_are_listed_and_the_last_owner_stays(ada, run):
    assert "owner" in done(run, "member", "list")
    for words in (("member", "set", "ada", "viewer"), ("member", "remove", "ada", "--yes")):
        result = run(*words)
        assert result.exit_code == 1
        assert "owner" in result.output
    done(run, "workspace", "mentoring", "yes")
    assert json.loads(done(run, "member", "list", "--json"))[0]["agreed_to_mentoring"]
    done(run, "workspace", "mentoring", "no")


def test_signing_out_goes_back_to_the_engine_of_ones_own(ada, home, run):
    made = run("token", "create", "to-be-left").stdout.strip()
    kept = load_credentials()
    save_credentials(kept.with_login(ada.url, replace(kept.of(ada.url), token=type(ada.token)(made))))
    left = run("logout")
    assert left.exit_code == 0
    assert "own process again" in left.stdout
    assert "couldn't be revoked" not in left.output
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRADEWIND_SERVER", ada.url)
        patch.setenv("TRADEWIND_TOKEN", made)
        assert run("cluster", "list").exit_code == 1  # it is good for nothing any more
    assert load_credentials().current is None
    assert made not in (home / "credentials.toml").read_text()
    assert "There are no clusters yet" in done(run, "cluster", "list")


def test_what_others_wrote_cannot_command_this_terminal(ada, run):
    done(run, "cluster", "create", "hostile", "-n", "0", "--provider", "fake")
    api = open_api()
    found = api.run(api.find("hostile"))
    assert found is not None
    api.run(api.stop(found.id, "evil \x1b[2J\x1b]0;title\x07 \x9b31m end"))
    for words in (
        ("cluster", "show", "hostile"),
        ("cluster", "show", "hostile", "--json"),
        ("cluster", "list", "--all"),
    ):
        shown = done(run, *words)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown), words
    done(run, "cluster", "stop", "hostile", "--yes")


def test_everything_and_usage_are_exported_from_a_server(ada, run, tmp_path):
    packed, table = tmp_path / "all.zip", tmp_path / "usage.parquet"
    done(run, "export", str(packed))
    done(run, "usage", "export", "--format", "focus-parquet", "-o", str(table))
    with zipfile.ZipFile(packed) as files:
        assert [json.loads(line)["user"] for line in files.read("members.jsonl").splitlines()] == ["ada"]
    assert table.read_bytes().startswith(b"PAR1")


def test_an_export_that_is_refused_leaves_no_file(ada, run, tmp_path):
    result = run("usage", "export", "--since", "2026-01-01", "--format", "csv", "-o", str(tmp_path))
    assert result.exit_code == 2
    assert [file for file in tmp_path.iterdir() if file.name.startswith(".usage")] == []


def test_two_people_come_in_by_links_alone(home, served, run):
    served.sign_in(home)
    link = run("invitation", "create", "--role", "member").stdout.strip()
    (home / "credentials.toml").unlink()  # another person, at another machine
    said = done(run, "accept", link, "--name", "grace", "--fingerprint", served.fingerprint)
    assert f"Signed in to {served.url} as grace" in said
    assert "workspace default, where you are member" in said
    assert run("invitation", "create").exit_code == 1
    again = run("accept", link, "--name", "edsger", "--fingerprint", served.fingerprint)
    assert again.exit_code == 1
    served.sign_in(home)
    done(run, "member", "set", "grace", "viewer")
    assert {(one["user"], one["role"]) for one in json.loads(done(run, "member", "list", "--json"))} >= {
        ("grace", "viewer")
    }
    done(run, "member", "remove", "grace", "--yes")


def test_a_login_is_confirmed_in_a_browser_that_shows_the_same_code(home, served):
    words = ("login", served.url, "--no-browser", "--fingerprint", served.fingerprint)
    code = "from tradewind.cli import main; main()"
    with subprocess.Popen([sys.executable, "-c", code, *words], stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        told = ""
        while "Waiting" not in told:
            line = program.stderr.readline()
            assert line, told
            told += line
        request = re.search(rf"{served.url}/logins/(\S+)", told)
        assert request is not None

        async def confirm() -> str:
            async with people_of(served.directory) as people:
                shown, secret_hash = await people.login_request(request[1])
                await people.as_(await people.let_in(served.token.reveal())).confirm_login(secret_hash)
                return shown

        try:
            assert asyncio.run(confirm()) in told
            assert program.wait(20) == 0
        finally:
            program.kill()  # it would wait for ten minutes
    token = load_credentials().of(served.url).token
    assert token is not None
    assert token != served.token
    assert token.reveal() not in told
