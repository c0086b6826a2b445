"""What Slurm's accounts say of jobs that ended, and of what one may still spend."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tradewind.providers.batch.queue import Account, Entry, Stage
from tradewind.providers.slurm.reasons import ended

FORMAT = "JobID,State,ExitCode,Start,End,ElapsedRaw,AllocTRES,TotalCPU,MaxRSS"
NOT_OVER = frozenset({"PENDING", "RUNNING", "REQUEUED", "RESIZING", "SUSPENDED", "COMPLETING", "CONFIGURING", ""})
UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def command(jobs: Sequence[str]) -> list[str]:
    """Return the command that tells of these submissions, with their steps: memory is counted by step."""
    return ["sacct", "--noheader", "--parsable2", f"--jobs={','.join(jobs)}", f"--format={FORMAT}"]


def read_accounts(text: str) -> list[Entry]:
    """Return each job that is over, with what it took; those that the accounts don't know to be over are left out."""
    found: dict[str, Entry] = {}
    peaks: dict[str, int] = {}
    for line in text.splitlines():
        parts = line.strip().split("|")
        if len(parts) != 9:
            continue
        name, state, code, started, stopped, elapsed, tres, cpu_time, peak = parts
        job, _, step = name.partition(".")
        if step:
            if (size := read_size(peak)) is not None:
                peaks[job] = max(size, peaks.get(job, 0))
            continue
        where = re.fullmatch(r"(\d+)_(\d+)", job)
        word = state.split()[0] if state else ""
        began, over = _time(started), _time(stopped)
        if where is None or word in NOT_OVER or began is None or over is None:
            continue
        given = dict(part.partition("=")[::2] for part in tres.split(",") if "=" in part)
        exit_code = code.partition(":")[0]
        found[job] = Entry(
            job=where[1],
            index=int(where[2]),
            mark="",
            stage=Stage.OVER,
            words=ended(word, ""),
            started_at=began,
            stopped_at=over,
            exit_code=int(exit_code) if exit_code.isdigit() else None,
            account=Account(
                units=Decimal(given["billing"]) if given.get("billing", "").isdigit() else None,
                cpus=int(given["cpu"]) if given.get("cpu", "").isdigit() else 0,
                memory=read_size(given.get("mem", "")) or 0,
                ran=timedelta(seconds=int(elapsed)) if elapsed.isdigit() else None,
                cpu_time=read_span(cpu_time),
            ),
        )
    for job, size in peaks.items():
        entry = found.get(job)
        if entry is not None and entry.account is not None:
            found[job] = replace(entry, account=replace(entry.account, peak_memory=size))
    return list(found.values())


def read_size(text: str) -> int | None:
    """Return bytes of ``151188K`` or ``2.50G``; None for what is none."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", text.strip())
    return None if found is None else int(Decimal(found[1]) * UNITS[found[2]])


def read_span(text: str) -> timedelta | None:
    """Return a span as ``00:00.823``, ``02:03:04`` or ``1-02:03:04``; None for what is none."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)", text.strip())
    if found is None:
        return None
    days, hours, minutes = (int(part or 0) for part in found.groups()[:3])
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=float(found[4]))


def _time(text: str) -> datetime | None:
    return datetime.fromtimestamp(int(text), UTC) if text.isdigit() and int(text) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where one stands with one account."""

    account: str
    fair_share: Decimal | None = None
    """From 0 to 1: the higher, the sooner one's jobs start; None where nobody reckons it."""
    granted: Decimal | None = None
    """Service units of the allocation, hours; None where there is no limit."""
    used: Decimal | None = None


def standing_command(user: str) -> list[str]:
    """Return the command that tells where ``user`` stands, with the accounts that his are parts of."""
    columns = "Account,User,FairShare,GrpTRESMins,GrpTRESRaw"
    return ["sshare", "--noheader", "--parsable2", f"--users={user}", f"--format={columns}"]


def read_standings(text: str) -> list[Standing]:
    """Return what it tells, an entry for each account of the user; the limits of an account hold for its users."""
    whole: dict[str, tuple[Decimal | None, Decimal | None]] = {}
    found: list[Standing] = []
    for line in text.splitlines():
        # Accounts below others are indented.
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 5:
            continue
        account, user, fair_share, granted, used = parts
        limit, spent = _billing(granted), _billing(used)
        if not user:
            whole[account] = (limit, spent)
            continue
        if limit is None:
            limit, spent = whole.get(account, (None, None))
        share = Decimal(fair_share) if re.fullmatch(r"[01](?:\.\d+)?", fair_share) else None
        found.append(Standing(account=account, fair_share=share, granted=limit, used=spent))
    return found


def told(standings: Sequence[Standing], account: str | None) -> str:
    """Return where one stands with ``account``, or with all of one's own, in words; empty where nothing is known."""
    words = []
    for one in standings:
        if account is not None and one.account != account:
            continue
        # Where Slurm reckons no priorities it counts no use either, and all is nought.
        if not one.fair_share and not one.used:
            continue
        if one.granted is not None and one.used is not None:
            left = max(Decimal(0), one.granted - one.used)
            words.append(f"{_number(left)} of {_number(one.granted)} SU are left to the account {one.account}")
        if one.fair_share:
            words.append(f"your fair share in {one.account} is {one.fair_share.normalize():f} of 1")
    return "; ".join(words)


def _billing(text: str) -> Decimal | None:
    # Minutes of the billing weights; a service unit is an hour of them.
    found = re.search(r"(?:^|,)billing=(\d+)", text)
    return Decimal(found[1]) / 60 if found is not None else None


def _number(units: Decimal) -> str:
    return f"{units:,.0f}" if units >= 100 or units == units.to_integral_value() else f"{units:,.1f}"
