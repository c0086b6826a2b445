"""Every form of every keyword, and one line of error for each that can't be used."""

from __future__ import annotations

import inspect
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tradewind.client.cluster import Cluster
from tradewind.client.keywords import (
    DEFAULTS,
    KNOWN_ELSEWHERE,
    UNSET,
    reject_unknown,
    scaling_from,
    share_from,
    spec_from,
)
from tradewind.config import HistorySettings, Settings
from tradewind.errors import BadRequest, UnknownKeyword
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.money import Money
from tradewind.model.offer import SpotPolicy
from tradewind.model.resources import ANY, GIB, Range

KEYWORDS = [name for name in inspect.signature(Cluster.__init__).parameters if name not in {"self", "kwargs"}]
UNSETTABLE = {"idle_timeout", "no_client_timeout"}
MINUTE = timedelta(minutes=1)


def spec(settings: Settings | None = None, **given: Any) -> ClusterSpec:
    every = {name: UNSET if name in UNSETTABLE else None for name in KEYWORDS}
    assert set(given) <= set(every)
    return spec_from({**every, **given}, settings or Settings(), default_name="it")


@pytest.mark.parametrize(
    ("n_workers", "scaling"),
    [
        (None, (4, 4, 20)),
        (0, (0, 0, 0)),
        (7, (7, 7, 7)),
        ([2, 10], (2, 2, 10)),
        ((2, 10), (2, 2, 10)),
        ([2, 5, 10], (2, 5, 10)),
        ([3, 3], (3, 3, 3)),
    ],
)
def test_n_workers_may_be_a_number_or_a_range(n_workers: object, scaling: tuple[int, int, int]) -> None:
    minimum, initial, maximum = scaling
    assert scaling_from(n_workers) == Scaling(minimum=minimum, initial=initial, maximum=maximum)


@pytest.mark.parametrize(
    "bad", [-1, 1.5, "4", True, [], [1], [3, 2], [1, 9, 5], [1, 2, 3, 4], [-1, 3], {"min": 1}, float("nan")]
)
def test_n_workers_that_make_no_sense_are_refused_with_an_example(bad: object) -> None:
    with pytest.raises(BadRequest, match=r"n_workers=.* can't be used: .*n_workers=\[2, 10\]"):
        scaling_from(bad)


@pytest.mark.parametrize("role", ["worker", "scheduler"])
@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        (None, ANY),
        ("16 GiB", Range(minimum=16 * GIB, maximum=16 * GIB)),
        ("16GB", Range(minimum=16e9, maximum=16e9)),
        (GIB, Range(minimum=GIB, maximum=GIB)),
        (["8 GiB", "16 GiB"], Range(minimum=8 * GIB, maximum=16 * GIB)),
        (("8 GiB", 9 * GIB), Range(minimum=8 * GIB, maximum=9 * GIB)),
    ],
)
def test_memory_may_be_text_or_bytes_or_a_range(role: str, value: object, wanted: Range) -> None:
    assert getattr(spec(**{f"{role}_memory": value}), role).memory == wanted


@pytest.mark.parametrize(("value", "wanted"), [(2, (2, 2)), (0.5, (0.5, 0.5)), ([2, 4], (2, 4))])
def test_cores_may_be_a_number_or_a_range(value: object, wanted: tuple[float, float]) -> None:
    assert spec(worker_cpu=value).worker.cpus == Range(minimum=wanted[0], maximum=wanted[1])


@pytest.mark.parametrize("provider", ["slurm", "sge", "pbs", "lsf", "htcondor"])
def test_of_a_partition_one_may_have_any_share(provider: str) -> None:
    need = spec(provider=provider, worker_vm_types=["long"], worker_cpu=2).worker

    assert (need.vm_types, need.cpus) == (("long",), Range(minimum=2, maximum=2))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"worker_memory": "12 potatoes"}, "worker_memory='12 potatoes' isn't an amount of memory"),
        ({"worker_memory": 0}, "isn't an amount of memory"),
        ({"worker_memory": 16}, "is 16 bytes, too few for anything: write the unit"),
        ({"worker_memory": True}, "isn't an amount of memory"),
        ({"worker_memory": float("inf")}, "isn't an amount of memory"),
        ({"worker_memory": float("nan")}, "isn't an amount of memory"),
        ({"worker_memory": "1e999 GiB"}, "isn't an amount of memory"),
        ({"worker_memory": ["8 GiB"]}, "a range has two ends"),
        ({"worker_memory": ["8 GiB", "4 GiB"]}, "the smaller end comes first"),
        ({"scheduler_memory": object}, "scheduler_memory=.* isn't an amount of memory"),
        ({"worker_cpu": 0}, "write a number of cores above 0"),
        ({"worker_cpu": "two"}, "worker_cpu='two' can't be used"),
        ({"worker_cpu": float("nan")}, "can't be used"),
        ({"worker_gpu": -1}, "write how many, such as worker_gpu=1"),
        ({"worker_vm_types": ["m5.large"], "worker_cpu": 2}, "fixes cpu and memory already"),
        ({"spot_policy": "cheap"}, "spot_policy='cheap' isn't one of 'on-demand', 'spot', 'spot_with_fallback'"),
        ({"name": "my cluster"}, "name='my cluster' can't be used"),
        ({"name": "x" * 64}, "1 to 63 letters"),
        ({"name": ""}, "can't be used"),
        ({"name": "mine\n"}, "can't be used"),
        ({"name": 7}, "can't be used"),
        ({"budget": "five"}, "budget='five' isn't an amount of money"),
        ({"budget": -1}, "isn't an amount of money"),
        ({"budget": "nan"}, "isn't an amount of money"),
        ({"budget": float("inf")}, "isn't an amount of money"),
        ({"idle_timeout": "soon"}, "idle_timeout: 'soon' isn't a duration"),
        ({"no_client_timeout": -1}, "no_client_timeout: .*must not be negative"),
        ({"cluster_timeout": "1 parsec"}, "cluster_timeout: "),
        ({"tags": ["a"]}, "tags=.* write a dict"),
        ({"environ": "A=1"}, "environ=.* write a dict"),
        ({"environ": {"A=B": "1"}}, "environ: 'A=B' can't be a variable"),
        ({"environ": {"A": "1\0"}}, "environ: 'A' can't be a variable"),
        ({"budget": "5 <b>"}, "'<B>' isn't a currency"),
        ({"provider": 5}, "provider=5 can't be used"),
        ({"region": "eu\x1b[31m"}, "region=.* can't be used"),
        ({"workspace": ["a"]}, "workspace=.* can't be used"),
        ({"worker_vm_types": 5}, "worker_vm_types=5 can't be used"),
        ({"dask_config": 7}, "dask_config=7 can't be used"),
        ({"worker_options": {"plugin": object()}}, "worker_options must hold plain values"),
        ({"worker_options": {"nthreads": 0}}, "nthreads=0 can't be used"),
        ({"backend_options": ["account"]}, "backend_options=.* write a dict"),
    ],
)
def test_what_can_not_be_used_is_one_line_that_names_the_keyword(given: dict[str, object], words: str) -> None:
    with pytest.raises(BadRequest, match=words) as caught:
        spec(**given)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("value", "money"),
    [
        (5, ("5", "USD")),
        (0.1, ("0.1", "USD")),
        ("5", ("5", "USD")),
        ("5 EUR", ("5", "EUR")),
        (" 12.50 su ", ("12.50", "SU")),
        (Money(amount=Decimal(3), currency="EUR"), ("3", "EUR")),
        (0, ("0", "USD")),
    ],
)
def test_a_budget_may_be_a_number_or_text_with_a_currency(value: object, money: tuple[str, str]) -> None:
    assert spec(budget=value).budget == Money(amount=Decimal(money[0]), currency=money[1])


@pytest.mark.parametrize("share", ["most", -1, 1.5, float("nan"), [2]])
def test_a_share_of_workers_that_can_not_be_waited_for_is_refused(share: object) -> None:
    with pytest.raises(BadRequest, match="wait_for_workers=.* can't be used: write True"):
        share_from(share)


@pytest.mark.parametrize("share", [True, False, 0, 7, 0.0, 0.3, 1.0])
def test_a_share_of_workers_is_all_or_none_a_number_or_a_fraction(share: bool | int | float) -> None:
    assert share_from(share) is share


def test_a_working_directory_that_is_gone_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(BadRequest, match="working directory of this program is gone"):
        spec()


@pytest.mark.parametrize("variable", ["AWS_SECRET_ACCESS_KEY", "github_token", "DB_PASSWORD", "API_KEY", "APIKEY"])
def test_a_secret_in_environ_is_refused_and_not_repeated(variable: str) -> None:
    with pytest.raises(BadRequest, match=f"{variable} looks like a secret.*send_private_envs") as caught:
        spec(environ={variable: "hunter2"})
    assert "hunter2" not in str(caught.value)


def test_plain_variables_go_through() -> None:
    assert spec(environ={"OMP_NUM_THREADS": 1}).environ == {"OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(
    ("given", "idle", "no_client"),
    [
        ({}, 20 * MINUTE, 2 * MINUTE),
        ({"idle_timeout": "1 hour"}, 60 * MINUTE, 60 * MINUTE),
        ({"idle_timeout": None}, None, 2 * MINUTE),
        ({"no_client_timeout": None}, 20 * MINUTE, None),
        ({"no_client_timeout": "30 s"}, 20 * MINUTE, MINUTE / 2),
        ({"shutdown_on_close": False}, 20 * MINUTE, None),
        ({"shutdown_on_close": False, "no_client_timeout": 60}, 20 * MINUTE, MINUTE),
    ],
)
def test_lifetimes_follow_each_other(
    given: dict[str, object], idle: timedelta | None, no_client: timedelta | None
) -> None:
    lifetimes = spec(**given).lifetimes
    assert (lifetimes.idle, lifetimes.no_client) == (idle, no_client)


def test_settings_hold_where_nothing_was_given_and_a_keyword_wins() -> None:
    settings = Settings(
        provider="fake", workspace="ocean", tags={"a": "1", "b": "1"}, history=HistorySettings(record=False, code=True)
    )
    plain = spec(settings)
    given = spec(settings, provider="local", workspace="me", tags={"b": 2}, record_history=True, record_code=False)
    assert (plain.provider, plain.workspace, plain.tags) == ("fake", "ocean", {"a": "1", "b": "1"})
    assert (plain.record_history, plain.record_code) == (False, True)
    assert (given.provider, given.workspace, given.tags) == ("local", "me", {"a": "1", "b": "2"})
    assert (given.record_history, given.record_code) == (True, False)


def test_the_rest_goes_through_as_it_is() -> None:
    made = spec(
        name="mine", spot_policy="spot", region="us-west-2", arm=True, worker_vm_types="m5.large", worker_gpu=True,
        worker_options={"nthreads": 3, "resources": {"GPU": 1}},
    )  # fmt: skip
    assert (made.name, made.spot_policy, made.region, made.arm) == ("mine", SpotPolicy.SPOT, "us-west-2", True)
    assert (made.worker.vm_types, made.worker.gpus, made.worker_threads) == (("m5.large",), 1, 3)
    assert made.worker_options == {"resources": {"GPU": 1}}
    assert spec().name == "it"


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("n_wrkers", "n_workers"), ("worker_memroy", "worker_memory"), ("idletimeout", "idle_timeout")]
    + [("environment", "software")],
)
def test_an_unknown_keyword_is_refused_with_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(UnknownKeyword, match=f"{wrong!r}. Did you mean {right!r}") as caught:
        reject_unknown({wrong: 1}, KEYWORDS)
    assert isinstance(caught.value, TypeError)


@pytest.mark.parametrize("keyword", sorted(KNOWN_ELSEWHERE))
def test_what_coiled_knows_and_nothing_here_can_honour_is_said_and_let_pass_where_it_is_off(keyword: str) -> None:
    with pytest.raises(BadRequest, match=f"can't honour {keyword}='x' yet"):
        reject_unknown({keyword: "x"}, KEYWORDS)
    reject_unknown({keyword: None}, KEYWORDS)


def test_defaults_for_those_who_cannot_wait_are_the_constructors_own():
    signature = inspect.signature(Cluster.__init__).parameters

    assert {name: signature[name].default for name in DEFAULTS} == DEFAULTS


def test_a_server_elsewhere_learns_nothing_of_where_the_caller_stands():
    spec = spec_from(DEFAULTS, Settings(), default_name="x", shares_files=False)

    assert (spec.working_directory, spec.python_path) == (None, ())
