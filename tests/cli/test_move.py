"""What changes on the way from one infrastructure to another, told by what they say of themselves."""

from __future__ import annotations

import importlib.util
import itertools
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tradewind.advisor.freedom.move import differences
from tradewind.advisor.shelf import open_words_of_moves
from tradewind.config import Settings
from tradewind.config.meanings import meanings
from tradewind.engine import ways
from tradewind.providers.base import Capabilities
from tradewind.providers.registry import find_provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    first: int = 1
    """Of all."""
    second: str
    """Where it is;
    must be given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Both(Shared):
    first: int = 2
    """Of a queue."""


PAIRS = list(itertools.permutations(ways.names(), 2))


@pytest.fixture
def script(nothing_yet: Path) -> Any:
    """Write a script; return its path."""

    def write(call: str) -> str:
        path = nothing_yet / "run.py"
        path.write_text(f"from tradewind import Cluster\n{call}\n")
        return str(path)

    return write


def test_every_fact_of_a_provider_has_its_words_or_is_the_engines_own() -> None:
    facts = {one.name for one in fields(Capabilities)} | {"is_shared"}

    assert set(open_words_of_moves()) | ways.INNER == facts
    assert not set(open_words_of_moves()) & ways.INNER


@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_every_pair_is_told_and_the_way_back_tells_the_same_facts(here: str, there: str) -> None:
    one, other = ways.way(here, Settings()), ways.way(there, Settings())

    there_is = differences(one, other, open_words_of_moves())
    back_is = differences(other, one, open_words_of_moves())

    assert {told.fact for told in there_is} == {fact for fact in one.facts if one.facts[fact] != other.facts[fact]}
    assert [difference.fact for difference in there_is] == [difference.fact for difference in back_is]
    assert not {told.says for told in there_is} & {told.says for told in back_is}


def test_the_page_of_moves_is_made_of_the_same_words() -> None:
    place = Path(__file__).parents[2] / "docs" / "hooks" / "reference.py"
    spec = importlib.util.spec_from_file_location("reference_hook", place)
    assert spec is not None
    assert spec.loader is not None
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)

    page = hook.on_page_markdown((place.parents[1] / "guides" / "moving.md").read_text())

    assert "<!--" not in page
    for here, there in PAIRS:
        part = page.partition(f"## To {there}\n")[2].partition("## To ")[0]
        told = differences(ways.way(here, Settings()), ways.way(there, Settings()), open_words_of_moves())
        (own,) = [block for block in part.split("**From ")[1:] if here in block.partition("**")[0].split(", ")]
        lines = [line[2:] for line in own.splitlines() if line.startswith("- ")]
        assert lines == ([one.says for one in told] or [hook.NOTHING])


@pytest.mark.parametrize("name", ways.names())
def test_every_setting_of_a_way_says_what_it_means(name: str) -> None:
    silent = [setting.key for setting in ways.way(name, Settings()).settings if not setting.meaning]

    assert silent == []


def test_a_setting_that_several_queues_share_is_told_with_its_meaning(run: Run, script: Any) -> None:
    told = run("freedom", script("Cluster(2)"), "--move-to", "slurm")

    assert told.exit_code == 0, told.output
    assert "slurm.price_per_su: What a service unit costs in money" in " ".join(told.stdout.split())


def test_a_setting_means_what_its_own_table_says_before_what_it_inherits() -> None:
    assert set(meanings(Both)) == {"first", "second"}
    assert meanings(Both)["first"] == "Of a queue."
    assert meanings(Both)["second"] == "Where it is; must be given."


@pytest.mark.parametrize("name", sorted(set(ways.names()) - {ways.SERVER}))
def test_what_is_told_of_a_way_is_what_its_provider_promises(name: str) -> None:
    can = find_provider(name).capabilities

    told = ways.way(name, Settings()).facts
    assert {fact: told[fact] for fact in told if fact != "is_shared"} == {
        one.name: getattr(can, one.name) for one in fields(Capabilities) if one.name not in ways.INNER
    }


def test_a_script_that_says_nothing_of_where_needs_no_change(ask: Any, script: Any) -> None:
    told = ask("freedom", script("Cluster(n_workers=2)"), "--move-to", "slurm")

    assert told["code"] == []
    assert told["starts"] == 1


@pytest.mark.parametrize(
    ("call", "to", "says", "needed"),
    [
        ('Cluster(provider="local")', "ssh", "provider='local' becomes provider='ssh'", True),
        ('Cluster(provider="ssh")', "ssh", None, False),
        ('Cluster(software="climate")', "slurm", "software='climate' can't be honoured", True),
        ('Cluster(software="climate")', "ssh", None, False),
        ('Cluster(region="us-west-2")', "ssh", "region='us-west-2' means nothing", False),
        ('Cluster(spot_policy="spot")', "ssh", "has no spot instances", True),
        ("Cluster(worker_gpu=n)", "ssh", "worker_gpu= is known only when it runs", False),
        ("Cluster(nworkers=2)", "ssh", "Did you mean 'n_workers'?", True),
        (
            "import coiled\ncoiled.Cluster(n_workers=2)",
            "ssh",
            "becomes tradewind.Cluster(...), with the same keywords",
            True,
        ),
        (
            "from dask_jobqueue import SLURMCluster\nSLURMCluster()",
            "ssh",
            "dask_jobqueue.SLURMCluster(...) becomes",
            True,
        ),
        ("Cluster(2)\nopen('/home/ada/x.nc')", "ssh", "/home/ada isn't there", True),
    ],
)
def test_a_line_that_must_change_is_named(
    ask: Any, script: Any, call: str, to: str, says: str | None, needed: bool
) -> None:
    told = ask("freedom", script(call), "--move-to", to)

    found = [(change["says"], change["needed"]) for change in told["code"]]
    if says is None:
        assert found == []
    else:
        assert [is_needed for text, is_needed in found if says in text] == [needed], found


def test_of_several_keywords_that_are_refused_all_are_named(ask: Any, script: Any) -> None:
    call = 'Cluster(spot_policy="spot", arm=True, worker_gpu=1, software="climate", nworkers=2)'

    told = ask("freedom", script(call), "--move-to", "local", "--from", "ssh")

    says = "\n".join(change["says"] for change in told["code"])
    for word in ("no spot instances", "ARM", "no GPUs", "'climate'", "'nworkers'"):
        assert word in says


def test_paths_stay_where_folders_are_shared(ask: Any, script: Any) -> None:
    told = ask("freedom", script("Cluster(2)\nopen('/home/ada/x.nc')"), "--move-to", "slurm")

    assert told["code"] == []


def test_settings_that_must_be_given_are_named_until_they_are(
    run: Run, script: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = script("Cluster(n_workers=2)")
    before = run("freedom", path, "--move-to", "ssh").output
    monkeypatch.setenv("TRADEWIND_SSH__HOSTS", '[{"address": "ws1", "cores": 4, "memory": "8 GiB"}]')
    after = run("freedom", path, "--move-to", "ssh").output

    assert "ssh.hosts[].address: " in before
    assert "ssh.hosts[].address: " not in after


def test_settings_of_the_same_name_are_taken_along(run: Run, script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRADEWIND_SLURM__ACCOUNT", "ocean")
    path = script("Cluster(n_workers=2)")

    there = run("freedom", path, "--move-to", "pbs", "--from", "slurm").output
    elsewhere = run("freedom", path, "--move-to", "local", "--from", "slurm").output

    assert "slurm.account, which you have set, becomes pbs.account" in there
    assert "slurm.account" not in elsewhere


def test_settings_that_can_be_found_are_asked_for(run: Run, script: Any) -> None:
    assert "`tradewind setup slurm --write`" in run("freedom", script("1"), "--move-to", "slurm").output


@pytest.mark.parametrize("options", [["--move-to", "loocal"], ["--move-to", "ssh", "--from", "shh"]])
def test_a_way_there_isnt_is_told_with_those_there_are(run: Run, script: Any, options: list[str]) -> None:
    result = run("freedom", script("1"), *options)

    assert result.exit_code == 1
    assert "there are local, server, slurm, ssh" in result.output or "there are " in result.output


def test_where_one_is_already_there_is_no_way_to(run: Run, script: Any) -> None:
    assert "on 'local' already" in run("freedom", script("1"), "--move-to", "local").output


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--replicate", "local"], "name two ways at least"),
        (["--replicate", "local", "--replicate", "server"], "you use no server"),
        (["--replicate", "local", "--replicate", "mars"], "there is no way 'mars'"),
    ],
)
def test_what_cant_be_replicated_is_told_before_anything_runs(
    run: Run, script: Any, options: list[str], says: str
) -> None:
    result = run("freedom", script("raise SystemExit('ran')"), *options)

    assert result.exit_code == 1
    assert says in result.output
