"""How long a job may run, by the limits that Slurm's documentation puts above those of a partition."""

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tradewind.errors import Rejected
from tradewind.model.instance import Role
from tradewind.providers.base import Order
from tradewind.providers.batch.letters import Habits, walltime_of
from tradewind.providers.batch.queue import Partition, Site
from tradewind.providers.slurm.limits import COMMAND, limited, read_cluster, read_limits, read_own_qos
from tradewind.providers.slurm.queue import SlurmQueue

CASES = Path(__file__).parent / "cases"
LIMITS = read_limits((CASES / "limits.txt").read_text())
WEEK = Partition(name="main", longest_time=timedelta(days=7), default_time=timedelta(days=1))
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def longest(
    partition: Partition, *, account: str | None = None, qos: str | None = None, own: str = ""
) -> tuple[timedelta | None, str]:
    (found,) = limited(
        [partition],
        LIMITS,
        cluster="rig",
        own_qos={partition.name: own} if own else {},
        account=account,
        qos=qos,
    )
    return found.longest_time, found.limited_by


@pytest.mark.parametrize(
    ("account", "qos", "own", "hours", "whose"),
    [
        (None, None, "", 24, "your account lab"),  # the usual QoS limits nothing, so the account does
        ("ocean", None, "", 48, "QoS high"),  # its own QoS does, and Slurm goes by the first
        (None, "debug", "", 0.5, "QoS debug"),
        (None, "debug", "own", 5, "QoS own"),  # that of the partition goes before
        (None, "loud", "own", 3, "QoS loud"),  # unless the other says that it does
        (None, "long", "", 168, ""),
        (None, "unheard-of", "", 24, "your account lab"),
        ("nobody", None, "", 168, ""),
    ],
)
def test_a_job_may_run_as_long_as_the_first_limit_says(
    account: str | None, qos: str | None, own: str, hours: float, whose: str
) -> None:
    assert longest(WEEK, account=account, qos=qos, own=own) == (timedelta(hours=hours), whose)


def test_a_partition_that_allows_less_is_as_it_was() -> None:
    assert longest(Partition(name="short", longest_time=timedelta(minutes=5))) == (timedelta(minutes=5), "")


def test_a_qos_beyond_partitions_lets_jobs_run_for_longer_than_they_allow() -> None:
    assert longest(Partition(name="main", longest_time=timedelta(days=1)), qos="long") == (
        timedelta(days=7),
        "QoS long",
    )


def test_an_association_for_one_partition_goes_before_that_for_all() -> None:
    short = Partition(name="short", longest_time=None)
    (found,) = limited(
        [short], read_limits("rig|lab|lab||5:00||normal\nrig|lab|lab|short|9:00||normal"), cluster="rig", own_qos={},
        account=None, qos=None,
    )  # fmt: skip

    assert found.longest_time == timedelta(minutes=9)


def test_what_is_usual_is_never_longer_than_what_is_allowed() -> None:
    (found,) = limited([WEEK], LIMITS, cluster="rig", own_qos={}, account=None, qos="debug")

    assert found.default_time == timedelta(minutes=30)


def test_who_says_nothing_of_limits_leaves_all_as_it_was() -> None:
    assert limited([WEEK], read_limits(""), cluster="rig", own_qos={}, account=None, qos=None) == [WEEK]


def test_where_limits_are_not_enforced_the_accounting_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho 'AccountingStorageEnforce = associations'\n")
    (tmp_path / "sacctmgr").write_text("#!/bin/sh\necho asked\n")
    for one in tmp_path.iterdir():
        one.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}

    def said() -> str:
        return subprocess.run(COMMAND, env=environ, capture_output=True, text=True, check=True).stdout

    assert said() == ""
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho 'AccountingStorageEnforce = associations,limits,qos'\n")
    assert said() == "asked\n--\nasked\n"
    (tmp_path / "sacctmgr").write_text("#!/bin/sh\necho 'Unable to connect to database' >&2; exit 1\n")
    assert said() == ""


def test_the_cluster_and_the_qos_of_partitions_are_read_from_what_slurm_says() -> None:
    assert read_cluster("BatchStartTimeout = 10 sec\nClusterName             = rig\n") == "rig"
    assert read_own_qos("PartitionName=a QoS=N/A MaxTime=1\nPartitionName=b QoS=own MaxTime=1\n") == {"b": "own"}


def test_a_site_tells_the_time_that_one_really_has() -> None:
    texts = [(CASES / f"{name}.txt").read_text() for name in ("partitions", "sinfo")]
    site = SlurmQueue(qos="debug").read_site([*texts, "ClusterName = rig\n", (CASES / "limits.txt").read_text()])

    times = {one.name: (one.longest_time, one.limited_by) for one in site.partitions}
    assert times == {"main": (timedelta(minutes=30), "QoS debug"), "short": (timedelta(minutes=5), "")}


# What follows for jobs


def order(role: Role) -> Order:
    return cast(
        "Order",
        SimpleNamespace(
            offer=SimpleNamespace(vm_type="main"), marks=SimpleNamespace(role=role), expires_at=NOW + timedelta(days=30)
        ),
    )


def asked(role: Role, **habits: Any) -> timedelta | None:
    partition = Partition(
        name="main", longest_time=timedelta(hours=48), default_time=timedelta(hours=1), limited_by="QoS high"
    )
    return walltime_of(order(role), Site(partitions=[partition]), Habits(**habits), NOW)


def test_a_scheduler_asks_for_what_its_qos_allows_or_for_what_is_set() -> None:
    assert asked(Role.SCHEDULER, walltime=timedelta(hours=2)) == timedelta(hours=48)
    assert asked(Role.SCHEDULER, scheduler_walltime=timedelta(hours=8)) == timedelta(hours=8)
    assert asked(Role.WORKER, walltime=timedelta(hours=2), scheduler_walltime=timedelta(hours=8)) == timedelta(hours=2)
    assert asked(Role.WORKER, scheduler_walltime=timedelta(hours=8)) == timedelta(hours=1)


def test_a_scheduler_that_asks_for_too_much_is_told_by_its_own_setting() -> None:
    with pytest.raises(Rejected, match=r"allows by QoS high: set a shorter `scheduler_walltime`"):
        asked(Role.SCHEDULER, scheduler_walltime=timedelta(days=3))
    with pytest.raises(Rejected, match=r"set a shorter `walltime`"):
        asked(Role.WORKER, walltime=timedelta(days=3))
