"""Named environments of workspaces, version by version."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, update
from sqlalchemy import delete as sql_delete
from sqlalchemy.sql.elements import ColumnElement

from tradewind import wire
from tradewind.errors import BadRequest, NameTaken, NotFound
from tradewind.model.environment import Environment
from tradewind.model.exchange import MadeEnvironment
from tradewind.model.named import EnvironmentVersion, NamedEnvironment, line_of
from tradewind.store.access.audit import By, record
from tradewind.store.idempotency import Once, keep
from tradewind.store.schema import IS_LIVE, clusters, environments
from tradewind.store.sql.database import insert_unless_there
from tradewind.store.sql.transactions import Transactions

MOST_NAMES = 200
MOST_VERSIONS = 200
MOST_BYTES = 8 * 2**20
"""Of one version: eight platforms of a thousand conda packages have less than half of it."""
MOST_BYTES_IN_ALL = 200 * 2**20
"""Of a workspace, so that it stays a small part of what is copied with each backup."""
AT_ONCE = 20
"""Rows that are in memory at a time, where all are gone through."""
NAMED = 5
"""Clusters that a refusal names at most."""
of = environments.c
LINE = [column for column in of if column.name not in {"environments", "size"}]


class Environments:
    """What the store knows of named environments. Every method is one short transaction."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def newest(self, workspace: str) -> tuple[EnvironmentVersion, ...]:
        """Return a line about the newest version of each name, by name."""
        return await self._transactions.read(_newest, workspace)

    async def versions(self, workspace: str, name: str) -> tuple[EnvironmentVersion, ...]:
        """Return a line about each version of a name, the newest first. Raises NotFound where there is none."""
        return await self._transactions.read(_versions, workspace, name)

    async def get(self, workspace: str, name: str, version: int | None = None) -> NamedEnvironment:
        """Return a version, or with None the newest. Raises NotFound; the message says what there is."""
        return await self._transactions.read(_get, workspace, name, version)

    async def add(self, named: NamedEnvironment, by: By | None, once: Once | None = None) -> MadeEnvironment:
        """Write the next version; the number that ``named`` has doesn't count.

        Where the newest one has the same content, nothing is written and that is returned. ``by`` says whose hand it
        is, where there is an audit log to tell; the answer is kept for who asked ``once``.

        Raises
        ------
        BadRequest
            There are too many names, or versions of it, or they take too much room.
        """
        return await self._transactions.write(_add, named, by, once)

    async def delete(self, workspace: str, name: str, version: int | None, now: datetime, by: By | None) -> None:
        """Delete a version, or with None all of a name. Clusters that have stopped keep what they ran.

        Raises
        ------
        NotFound
            There is none.
        NameTaken
            Live clusters run it; the message names them.
        """
        await self._transactions.write(_delete, workspace, name, version, now, by)

    async def files(self) -> frozenset[str]:
        """Return the sha256 of each file that a live cluster or a named environment of any workspace needs."""
        return await self._transactions.read(_files)


def environment_from(row: RowMapping) -> NamedEnvironment:
    """Return the version of a row."""
    return NamedEnvironment(
        workspace=row["workspace"],
        name=row["name"],
        version=row["version"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        content_hash=row["content_hash"],
        environments=wire.load_json(tuple[Environment, ...], row["environments"]),
        image=row["image"],
        source=row["source"],
        note=row["note"],
        deleted_at=row["deleted_at"],
    )


def _newest(connection: Connection, workspace: str) -> tuple[EnvironmentVersion, ...]:
    there = of.deleted_at.is_(None)
    last = (
        select(of.name, func.max(of.version).label("version"), func.count().label("versions"))
        .where(of.workspace == workspace, there)
        .group_by(of.name)
        .subquery()
    )
    statement = (
        select(*LINE, last.c.versions)
        .join(last, (last.c.name == of.name) & (last.c.version == of.version))
        .where(of.workspace == workspace)
        .order_by(of.name)
    )
    return tuple(_line(row, row["versions"]) for row in connection.execute(statement).mappings())


def _versions(connection: Connection, workspace: str, name: str) -> tuple[EnvironmentVersion, ...]:
    statement = select(*LINE).where(_all_of(workspace, name)).order_by(of.version.desc())
    found = connection.execute(statement).mappings().all()
    if not found:
        raise _missing(connection, workspace, name, None)
    return tuple(_line(row, len(found)) for row in found)


def _get(connection: Connection, workspace: str, name: str, version: int | None) -> NamedEnvironment:
    statement = select(environments).where(_all_of(workspace, name, version)).order_by(of.version.desc()).limit(1)
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise _missing(connection, workspace, name, version)
    return environment_from(row)


def _add(connection: Connection, named: NamedEnvironment, by: By | None, once: Once | None) -> MadeEnvironment:
    values = _values(named)
    while True:
        last = connection.execute(
            select(*LINE)
            .where(of.workspace == named.workspace, of.name == named.name)
            .order_by(of.version.desc())
            .limit(1)
        )
        row = last.mappings().first()
        if row is not None and row["deleted_at"] is None and row["content_hash"] == named.content_hash:
            made = MadeEnvironment(version=_line(row, _count(connection, named)), is_new=False)
            break
        _refuse_too_many(connection, named, values["size"])
        new = replace(named, version=row["version"] + 1 if row is not None else 1)
        # Of two who make one at the same moment, the second comes here again and finds the first one's.
        if insert_unless_there(connection, environments, values | {"version": new.version}):
            if by is not None:
                detail = f"{new.image or f'of {new.source}' if new.image or new.source else 'of a Python'}"
                entry = by.did("environment.created", new.reference, detail, workspace=new.workspace)
                record(connection, entry)
            made = MadeEnvironment(version=line_of(new, _count(connection, named)), is_new=True)
            break
    keep(connection, once, made)
    return made


def _delete(
    connection: Connection, workspace: str, name: str, version: int | None, now: datetime, by: By | None
) -> None:
    statement = select(of.version).where(_all_of(workspace, name, version)).order_by(of.version)
    found = connection.execute(statement).scalars().all()
    if not found:
        raise _missing(connection, workspace, name, version)
    _refuse_in_use(connection, workspace, {f"{name}@{one}" for one in found})
    connection.execute(
        update(environments)
        .where(of.workspace == workspace, of.name == name, of.version.in_(found))
        .values(deleted_at=now, environments="[]", size=0)
    )
    # Of what is gone, only the last number is needed: else who makes and deletes all day fills the table.
    last = select(func.max(of.version)).where(of.workspace == workspace, of.name == name).scalar_subquery()
    gone = (of.workspace == workspace) & (of.name == name) & of.deleted_at.is_not(None)
    connection.execute(sql_delete(environments).where(gone, of.version < last))
    if by is not None:
        which = ", ".join(map(str, found))
        subject = f"{name}@{version}" if version is not None else name
        detail = f"version{'s' if len(found) > 1 else ''} {which}"
        record(connection, by.did("environment.deleted", subject, detail, workspace=workspace))


def _files(connection: Connection) -> frozenset[str]:
    running = select(clusters.c.environment).where(IS_LIVE, clusters.c.environment.contains('"file_name"'))
    named = select(of.environments).where(of.environments.contains('"file_name"'))
    found: set[str] = set()
    # Each may have megabytes: never more than a few at once.
    for text in connection.scalars(running, execution_options={"yield_per": AT_ONCE}):
        found.update(one.sha256 for one in wire.load_json(Environment, text).artifacts)
    for text in connection.scalars(named, execution_options={"yield_per": AT_ONCE}):
        for environment in wire.load_json(tuple[Environment, ...], text):
            found.update(one.sha256 for one in environment.artifacts)
    return frozenset(found)


def _refuse_in_use(connection: Connection, workspace: str, references: set[str]) -> None:
    """Raise NameTaken where live clusters run one of these; one may begin to just after, and has its own copy."""
    statement = select(clusters.c.name, clusters.c.environment_name).where(
        clusters.c.workspace == workspace, IS_LIVE, clusters.c.environment_name.in_(references)
    )
    using: dict[str, str] = {name: runs for name, runs in connection.execute(statement)}
    if using:
        names = sorted(using)
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        runs = ", ".join(sorted(set(using.values())))
        raise NameTaken(
            f"{runs} is what cluster{'s' if len(names) > 1 else ''} {', '.join(names[:NAMED])}{more} "
            f"run{'' if len(names) > 1 else 's'} now; stop {'them' if len(names) > 1 else 'it'} first"
        )


def _refuse_too_many(connection: Connection, named: NamedEnvironment, size: int) -> None:
    there = (of.workspace == named.workspace) & of.deleted_at.is_(None)
    versions = _count(connection, named)
    if versions >= MOST_VERSIONS:
        raise BadRequest(f"{named.name} has {MOST_VERSIONS} versions, which is the most; delete those nobody uses")
    if not versions:  # those of a name that was deleted don't count
        names = connection.execute(select(func.count(func.distinct(of.name))).where(there)).scalar() or 0
        if names >= MOST_NAMES:
            raise BadRequest(f"a workspace has at most {MOST_NAMES} named environments; delete those nobody uses")
    if size > MOST_BYTES:
        raise BadRequest(
            f"{named.name} takes {_mib(size)} to write down, and at most {_mib(MOST_BYTES)} are kept; lock it for "
            "fewer platforms (--platform), or split it"
        )
    in_all = connection.execute(select(func.sum(of.size)).where(there)).scalar() or 0
    if in_all + size > MOST_BYTES_IN_ALL:
        raise BadRequest(
            f"the named environments of workspace {named.workspace!r} take {_mib(in_all)}, and with this one it would "
            f"be more than the {_mib(MOST_BYTES_IN_ALL)} that are kept; delete versions nobody uses"
        )


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"


def _count(connection: Connection, named: NamedEnvironment) -> int:
    statement = select(func.count()).select_from(environments).where(_all_of(named.workspace, named.name))
    return connection.execute(statement).scalar() or 0


def _all_of(workspace: str, name: str, version: int | None = None) -> ColumnElement[bool]:
    there = (of.workspace == workspace) & (of.name == name) & of.deleted_at.is_(None)
    return there if version is None else there & (of.version == version)


def _missing(connection: Connection, workspace: str, name: str, version: int | None) -> NotFound:
    if version is not None:
        last = connection.execute(select(func.max(of.version)).where(_all_of(workspace, name))).scalar()
        if last is not None:
            return NotFound(f"there is no {name}@{version} in workspace {workspace!r}; the newest is {name}@{last}")
    names = [line.name for line in _newest(connection, workspace)]
    there = f"there are {', '.join(names[:10])}{' …' if len(names) > 10 else ''}" if names else "none was made yet"
    return NotFound(f"there is no environment {name!r} in workspace {workspace!r}; {there}")


def _line(row: RowMapping, versions: int) -> EnvironmentVersion:
    return EnvironmentVersion(
        name=row["name"],
        version=row["version"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        content_hash=row["content_hash"],
        platforms=tuple(row["platforms"].split()),
        python=row["python"],
        packages=row["packages"],
        image=row["image"],
        source=row["source"],
        note=row["note"],
        versions=versions,
    )


def _values(named: NamedEnvironment) -> dict[str, Any]:
    line, text = line_of(named), wire.dump_json(named.environments)
    return {
        "workspace": named.workspace,
        "name": named.name,
        "version": named.version,
        "created_at": named.created_at,
        "created_by": named.created_by,
        "content_hash": named.content_hash,
        "image": named.image,
        "source": named.source,
        "note": named.note,
        "platforms": " ".join(line.platforms),
        "python": line.python,
        "packages": line.packages,
        "environments": text,
        "deleted_at": None,
        "size": len(text.encode()),
    }
