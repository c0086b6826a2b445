"""What ``sacct`` and ``sshare`` wrote, and what it means."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tradewind.providers.batch.ledger import spent
from tradewind.providers.batch.queue import Account
from tradewind.providers.slurm import accounts

SACCT = """\
249_0|CANCELLED by 0|0:0|1795485347|1795485352|5|billing=1,cpu=1,mem=1G,node=1|00:00.823|
249_0.batch|COMPLETED|0:0|1795485347|1795485352|5|cpu=1,mem=1G,node=1|00:00.823|151188K
249_0.extern|COMPLETED|0:0|1795485347|1795485352|5|billing=1,cpu=1,mem=1G,node=1|00:00:00|0
249_1|OUT_OF_MEMORY|0:125|1795485347|1795485952|605|billing=32,cpu=16,gres/gpu=1,mem=64000M,node=1|1-02:40:00|
249_1.batch|OUT_OF_MEMORY|0:125|1795485347|1795485952|605|cpu=16,mem=64000M,node=1|1-02:40:00|67108000K
249_2|NODE_FAIL|0:0|1795485347|1795485952|605|billing=4,cpu=4,mem=4G,node=1|00:00:00|
249_3|RUNNING|0:0|1795485347|Unknown|0|billing=4,cpu=4,mem=4G,node=1|00:00:00|
249_3.batch|RUNNING|0:0|1795485347|Unknown|0|cpu=4,mem=4G,node=1|00:00:00|
249_[4-9]|CANCELLED by 0|0:0|None|1795485952|0||00:00:00|
a site's own words
"""
SSHARE = """\
root||||cpu=0,mem=0,energy=0,node=0,billing=12000,fs/disk=0,vmem=0,pages=0
 ocean||||cpu=0,mem=0,energy=0,node=0,billing=12000,fs/disk=0,vmem=0,pages=0
  lab||0.250000|billing=600000,gres/gpu=60|cpu=0,mem=0,energy=0,node=0,billing=9000,fs/disk=0,vmem=0,pages=0
   lab|me|0.062500||cpu=0,mem=0,energy=0,node=0,billing=6000,fs/disk=0,vmem=0,pages=0
  waves|me|1.000000|billing=60|cpu=0,mem=0,energy=0,node=0,billing=90,fs/disk=0,vmem=0,pages=0
"""


def test_each_job_that_is_over_has_its_times_its_charge_and_its_use() -> None:
    found = {(entry.job, entry.index): entry for entry in accounts.read_accounts(SACCT)}

    first = found["249", 0]
    assert first.started_at == datetime(2026, 11, 24, 1, 55, 47, tzinfo=UTC)
    assert first.stopped_at == datetime(2026, 11, 24, 1, 55, 52, tzinfo=UTC)
    assert first.account == Account(
        units=Decimal(1),
        cpus=1,
        memory=1024**3,
        ran=timedelta(seconds=5),
        cpu_time=timedelta(seconds=0.823),
        peak_memory=151188 * 1024,
    )


def test_what_runs_or_never_ran_is_left_out() -> None:
    assert {(entry.job, entry.index) for entry in accounts.read_accounts(SACCT)} == {("249", 0), ("249", 1), ("249", 2)}


@pytest.mark.parametrize(("index", "words"), [(1, "used more memory"), (2, "its node failed")])
def test_how_it_ended_is_told_in_plain_words(index: int, words: str) -> None:
    found = {entry.index: entry for entry in accounts.read_accounts(SACCT)}

    assert words in found[index].words


@pytest.mark.parametrize(
    ("text", "size"),
    [("151188K", 151188 * 1024), ("2.50G", 2684354560), ("0", 0), ("1T", 1024**4), ("", None), ("?", None)],
)
def test_sizes_are_bytes(text: str, size: int | None) -> None:
    assert accounts.read_size(text) == size


@pytest.mark.parametrize(
    ("text", "span"),
    [
        ("00:00.823", timedelta(seconds=0.823)),
        ("02:03:04", timedelta(hours=2, minutes=3, seconds=4)),
        ("1-02:03:04", timedelta(days=1, hours=2, minutes=3, seconds=4)),
        ("", None),
    ],
)
def test_spans_have_days_and_parts_of_seconds(text: str, span: timedelta | None) -> None:
    assert accounts.read_span(text) == span


def test_what_a_job_made_of_what_it_had_is_a_sentence() -> None:
    found = {entry.index: entry for entry in accounts.read_accounts(SACCT)}
    half = Account(cpus=16, memory=64 * 1024**3, cpu_time=timedelta(seconds=605 * 8), peak_memory=16 * 1024**3)

    assert spent(half, found[1]) == "it used 16 of 64 GiB at most and 50% of 16 cores"
    assert spent(Account(), found[1]) == ""


def test_an_account_s_limit_holds_for_its_users_and_their_own_goes_before() -> None:
    standings = accounts.read_standings(SSHARE)

    assert [(one.account, one.granted, one.used) for one in standings] == [
        ("lab", Decimal(10000), Decimal(150)),
        ("waves", Decimal(1), Decimal("1.5")),
    ]


@pytest.mark.parametrize(
    ("account", "words"),
    [
        ("lab", "9,850 of 10,000 SU are left to the account lab; your fair share in lab is 0.0625 of 1"),
        ("waves", "0 of 1 SU are left to the account waves; your fair share in waves is 1 of 1"),
        ("other", ""),
    ],
)
def test_where_one_stands_is_told_of_the_account_that_is_charged(account: str, words: str) -> None:
    assert accounts.told(accounts.read_standings(SSHARE), account) == words


def test_where_slurm_reckons_nothing_nothing_is_said() -> None:
    text = " lab|||billing=600|billing=0\n  lab|me|0.000000||billing=0\n"

    assert accounts.told(accounts.read_standings(text), None) == ""
