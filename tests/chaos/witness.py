"""What is true after and during a chaos run, seen past all of our code: SQL, and the ledger of the world."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psutil
import psycopg

from tests.chaos.bill import SECOND, Bill, Overrun, overrun
from tradewind.providers.fake.remote import exchange

DIARY = """
CREATE TABLE chaos_diary (
    seq bigserial PRIMARY KEY, at timestamptz NOT NULL, writer text, cluster text NOT NULL,
    holder text, epoch integer NOT NULL, until timestamptz, saved boolean NOT NULL, status text NOT NULL
);
CREATE FUNCTION chaos_note() RETURNS trigger AS $$
BEGIN
    -- A save writes the revision that follows the one it read. Whoever takes a lease leaves the revision alone; and who
    -- changes an intent or a budget, or the bill of a cluster that has stopped, counts up whatever is there.
    INSERT INTO chaos_diary (at, writer, cluster, holder, epoch, until, saved, status) VALUES (
        clock_timestamp(), current_setting('chaos.replica', true), NEW.id, NEW.lease_holder, NEW.lease_epoch,
        NEW.lease_until, NEW.revision <> OLD.revision AND current_query() NOT LIKE '%revision + %', NEW.status);
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TABLE chaos_limits (
    seq bigserial PRIMARY KEY, at timestamptz NOT NULL, budget text NOT NULL, amount text NOT NULL
);
CREATE FUNCTION chaos_limit() RETURNS trigger AS $$
BEGIN
    INSERT INTO chaos_limits (at, budget, amount) VALUES (clock_timestamp(), NEW.id, NEW.amount);
    RETURN NEW;
END $$ LANGUAGE plpgsql;
CREATE TRIGGER chaos_limit AFTER INSERT OR UPDATE ON budgets FOR EACH ROW EXECUTE FUNCTION chaos_limit();
CREATE TRIGGER chaos_note AFTER UPDATE ON clusters FOR EACH ROW EXECUTE FUNCTION chaos_note();
"""
"""Who held what, who wrote, and which limit held when: kept by the database, in the transaction of the change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """What was billed in all, by the world's ledger and by our usages."""

    instances: int
    ledger_s: float
    usages_s: float
    worst_s: float
    """The largest difference of one instance."""


class Witness:
    """Asks the database and the world, never a replica."""

    def __init__(self, database: str, world: str) -> None:
        self._database = database
        self._host, _, port = world.rpartition(":")
        self._port = int(port)

    def begin(self) -> None:
        """Let the database keep a diary from now on."""
        with psycopg.connect(self._database) as connection:
            connection.execute(DIARY)

    async def world(self, verb: str, **given: Any) -> Any:
        """Ask the world itself."""
        answer = await exchange(self._host, self._port, {"verb": verb, **given})
        return answer["ok"]

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return what the database answers."""
        with psycopg.connect(self._database) as connection:
            return list(connection.execute(query, values).fetchall())

    def live(self) -> dict[str, str]:
        """Return the status of each cluster that hasn't stopped, by id."""
        return dict(self.rows("SELECT id, status FROM clusters WHERE status <> 'stopped'"))  # type: ignore[arg-type]

    def asleep(self) -> list[str]:
        """Return live clusters that nobody will ever look at again."""
        query = "SELECT id FROM clusters WHERE status <> 'stopped' AND wake_at IS NULL"
        return [f"live cluster {row[0]} has no wake-up" for row in self.rows(query)]

    def overdue(self, by: timedelta) -> list[str]:
        """Return live clusters that should have been looked at ``by`` ago."""
        query = (
            "SELECT id, status, clock_timestamp() - wake_at, lease_holder, lease_until - clock_timestamp() "
            "FROM clusters WHERE status <> 'stopped' AND wake_at < clock_timestamp() - %s"
        )
        return [
            f"cluster {row[0]} ({row[1]}) is overdue by {row[2]}; held by {row[3]} for {row[4]}"
            for row in self.rows(query, by)
        ]

    def doubles(self) -> list[str]:
        """Return what was created twice; users never give a name to a second cluster."""
        query = "SELECT name, count(*) FROM clusters GROUP BY name HAVING count(*) > 1"
        return [f"cluster {name} was created {count} times" for name, count in self.rows(query)]

    def unsettled(self) -> list[str]:
        """Return what is billed without an end, or twice at once, though nothing lives any more."""
        spans: dict[str, list[tuple[datetime, datetime]]] = defaultdict(list)
        faults = []
        for instance, began, ended in self.rows("SELECT instance_id, started_at, stopped_at FROM usages"):
            if ended is None:
                faults.append(f"instance {instance} is billed for ever, from {began}")
            else:
                spans[instance].append((began, ended))
        return faults + [f"instance {i} is billed twice at once" for i, pieces in spans.items() if _overlap(pieces)]

    async def leaks(self) -> list[str]:
        """Return what still exists in the world."""
        return [f"instance {instance} is still there" for instance in await self.world("alive")]

    async def billed(self) -> tuple[Seconds, list[str]]:
        """Return the seconds of all, and where ledger and usages differ by more than a second for one instance."""
        now = datetime.now(UTC)
        ledger: dict[str, timedelta] = {}
        stories: dict[str, str] = {}
        for line in await self.world("ledger"):
            began, ended = datetime.fromisoformat(line["started_at"]), line["stopped_at"]
            until = now if ended is None else datetime.fromisoformat(ended)
            ledger[line["instance"]] = until - began
            stories[line["instance"]] = f"{began:%H:%M:%S.%f} to {until:%H:%M:%S.%f} of cluster {line['cluster']}"
        usages: dict[str, timedelta] = defaultdict(timedelta)
        for instance, began, ended in self.rows("SELECT instance_id, started_at, stopped_at FROM usages"):
            usages[instance] += (ended or now) - began
        faults = []
        worst = timedelta(0)
        for instance in sorted(ledger.keys() | usages.keys()):
            difference = usages.get(instance, timedelta(0)) - ledger.get(instance, timedelta(0))
            worst = max(worst, abs(difference))
            if abs(difference) > SECOND:
                story = stories.get(instance, "never billed by the world")
                row = self.rows(
                    'SELECT status, "end", detail, handle, requested_at, stopped_at FROM instances WHERE id = %s',
                    instance,
                )
                faults.append(
                    f"instance {instance}: the ledger says {story}, our usages differ by {difference}; row: {row}"
                )
        total = Seconds(
            instances=len(ledger),
            ledger_s=sum((span.total_seconds() for span in ledger.values()), 0.0),
            usages_s=sum((span.total_seconds() for span in usages.values()), 0.0),
            worst_s=worst.total_seconds(),
        )
        return total, faults

    async def bills(self) -> list[Bill]:
        """Return all that the world ever billed; what it bills still ends now."""
        now = datetime.now(UTC)
        return [
            Bill(
                cluster=line["cluster"],
                per_hour=Decimal(line["price_per_hour"] or 0),
                began=datetime.fromisoformat(line["started_at"]),
                ended=now if line["stopped_at"] is None else datetime.fromisoformat(line["stopped_at"]),
            )
            for line in await self.world("ledger")
        ]

    async def overrun(self, limit: Decimal) -> Overrun:
        """Return how far all that the world billed went over ``limit``."""
        return overrun(await self.bills(), limit, datetime.now(UTC))

    def usurped(self, pid_of: Mapping[str, int]) -> list[str]:
        """Return saves by somebody who didn't hold the lease, and epochs that two have held."""
        holders: dict[tuple[str, int], set[str]] = defaultdict(set)
        faults = []
        for at, writer, cluster, holder, epoch, saved in self.rows(
            "SELECT at, writer, cluster, holder, epoch, saved FROM chaos_diary ORDER BY seq"
        ):
            if holder is not None:
                holders[cluster, epoch].add(holder)
            if saved and (holder is None or int(holder.split("/")[1]) != pid_of.get(writer)):
                faults.append(f"{at:%H:%M:%S.%f}: {writer} wrote cluster {cluster} that {holder} held (epoch {epoch})")
        faults += [f"cluster {c}, epoch {e}: held by {sorted(h)}" for (c, e), h in holders.items() if len(h) > 1]
        return faults

    def saves(self) -> int:
        """Return how many saves the diary holds: where it knows none for what it is, it tells of none."""
        count: int = self.rows("SELECT count(*) FROM chaos_diary WHERE saved")[0][0]
        return count

    async def late_acts(self, grace: timedelta) -> list[str]:
        """Return launches and ends that somebody asked the world for while another held the lease, by over ``grace``.

        They do no harm to the books, which is what the other witnesses look at; this counts how often it comes to pass.
        """
        spans = _tenures(
            self.rows("SELECT cluster, at, holder FROM chaos_diary ORDER BY seq"),
        )
        faults = []
        for act in await self.world("asked"):
            at, by = datetime.fromisoformat(act["at"]), int(act["by"])
            for began, ended, pid in spans.get(act["cluster"], ()):
                if pid != by and began + grace <= at and (ended is None or at < ended):
                    faults.append(f"{act['at']}: {by} asked for {act['verb']} of {act['cluster']}, held by {pid}")
        return faults


def processes_of(directory: Path) -> list[str]:
    """Return the processes that were launched from ``directory``, by the files they hold open."""
    mark = str(directory / "local" / "runs")
    found = []
    for process in psutil.process_iter():
        fds = Path(f"/proc/{process.pid}/fd")
        try:
            files = [os.readlink(fd) for fd in fds.iterdir()]
        except OSError:
            continue  # it has ended
        if any(file.startswith(mark) for file in files):
            found.append(f"process {process.pid} is still there")
    return found


def _tenures(rows: Sequence[tuple[Any, ...]]) -> dict[str, list[tuple[datetime, datetime | None, int]]]:
    spans: dict[str, list[tuple[datetime, datetime | None, int]]] = defaultdict(list)
    for cluster, at, holder in rows:
        pid = int(holder.split("/")[1]) if holder else 0
        mine = spans[cluster]
        if mine and mine[-1][1] is None:
            began, _, before = mine[-1]
            if before == pid:
                continue
            mine[-1] = (began, at, before)
        if pid:
            mine.append((at, None, pid))
    return spans


def _overlap(pieces: list[tuple[datetime, datetime]]) -> bool:
    ordered = sorted(pieces)
    return any(after[0] < before[1] for before, after in zip(ordered, ordered[1:], strict=False))
