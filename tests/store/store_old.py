"""What stands in the databases of earlier days, and the program that writes down the one of today.

    PYTHONPATH=src:. python tests/store/store_old.py

writes ``old/sqlite/REVISION.sql`` and ``old/postgresql/REVISION.sql``, for the newest revision of the migrations.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import insert
from store_records import MINUTE, T0, fill, make_cluster, url_of

from tradewind.store import schema
from tradewind.store.sql import database, migrate
from tradewind.store.store import Store

OLD = Path(__file__).parent / "old"
"""For each kind of database one dump per revision, made by the program of its day."""

LATER = T0 + timedelta(days=30)
SHARED: dict[str, dict[str, Any]] = {
    "users": {"id": "u1", "name": "ada", "email": "ada@example.org", "is_operator": True, "created_at": T0},
    "identities": {"issuer": "https://id.example.org", "subject": "0001", "user_id": "u1"},
    "workspaces": {"name": "lab", "title": "Ocean lab", "created_at": T0},
    "members": {
        "workspace": "lab",
        "user_id": "u1",
        "role": "owner",
        "agreed_to_mentoring": False,
        "joined_at": T0,
    },
    "invitations": {
        "id": "inv1",
        "secret_hash": "aa",
        "workspace": "lab",
        "role": "member",
        "invited_by": "ada",
        "created_at": T0,
        "expires_at": LATER,
    },
    "tokens": {
        "id": "t1",
        "secret_hash": "bb",
        "user_id": "u1",
        "label": "laptop",
        "scopes": "read clusters",
        "created_at": T0,
        "expires_at": LATER,
    },
    "audit": {
        "at": T0,
        "workspace": "lab",
        "user": "ada",
        "action": "member.added",
        "subject": "grace",
        "detail": "as a member",
    },
    "budgets": {
        "id": "b1",
        "workspace": "lab",
        "scope": "workspace",
        "key": "",
        "amount": Decimal("100.00"),
        "currency": "EUR",
        "period": "month",
        "is_hard": True,
        "created_by": "ada",
        "created_at": T0,
    },
    "accounts": {
        "budget_id": "b1",
        "starts_at": T0,
        "ends_at": LATER,
        "committed": Decimal("1.50"),
        "burn_per_hour": Decimal("0.20"),
        "currency": "EUR",
        "told": 50,
        "wake_at": T0 + MINUTE,
    },
    "reservations": {
        "budget_id": "b1",
        "starts_at": T0,
        "cluster_id": "c1",
        "reserved": Decimal("1.50"),
        "spent": Decimal("0.10"),
        "burn_per_hour": Decimal("0.20"),
        "currency": "EUR",
        "at": T0,
        "use": "used",
    },
    "outbox": {
        "id": "o1",
        "workspace": "lab",
        "kind": "email",
        "target": "ada@example.org",
        "body": "{}",
        "created_at": T0,
        "attempts": 1,
        "wake_at": T0 + MINUTE,
        "error": "no answer",
    },
    "webhooks": {
        "id": "w1",
        "workspace": "lab",
        "url": "https://example.org/hook",
        "signing_key": "cc",
        "created_by": "ada",
        "created_at": T0,
    },
    "idempotency": {
        "user_id": "u1",
        "key": "k1",
        "request_hash": "dd",
        "created_at": T0,
        "status": 201,
        "body": "{}",
    },
    "facts": {"name": "installation", "value": "shared-1"},
}
"""A row of each table that a shared server keeps besides; from revision 0002 on."""
NAMED: dict[str, dict[str, Any]] = {
    "environments": {
        "workspace": "lab",
        "name": "climate",
        "version": 1,
        "created_at": T0,
        "created_by": "ada",
        "content_hash": "ee",
        "image": "",
        "source": "environment.yml",
        "note": "of the paper",
        "platforms": "linux-x86_64",
        "python": "3.11",
        "packages": 0,
        "environments": '[{"python":"3.11","platform":"linux-x86_64","packages":[],"content_hash":"ff"}]',
    },
}
"""The same from revision 0003 on."""
REVIEWED: dict[str, dict[str, Any]] = {
    "reviews": {
        "id": "review-1",
        "partner": "2i2c",
        "user_id": "u1",
        "user": "ada",
        "written_at": T0,
        "said": '{"used_for":"research","used_from":"2024-01-01","interest":"none","points":{"ease":4}}',
        "status": "published",
        "decided_by": "root",
        "decided_at": T0,
        "reason": "",
    },
    "speakers": {"partner": "2i2c", "user_id": "u2", "user": "bob", "appointed_by": "root", "appointed_at": T0},
}
"""The same from revision 0005 on."""


async def fill_old(url: str) -> None:
    """Fill a new database as the tests of old ones find it: clusters c1 and c2, and one of everything."""
    store = await Store.open(url)
    await fill(store, make_cluster())
    await fill(store, make_cluster("c2", "sea"))
    await store.aclose()
    engine, _ = database.connect(url)
    with engine.begin() as connection:
        for table, row in (SHARED | NAMED | REVIEWED).items():
            connection.execute(insert(schema.metadata.tables[table]), row)
    engine.dispose()


def dump_sqlite(path: Path) -> str:
    """Return the statements that make the database of a file."""
    with closing(sqlite3.connect(path)) as connection:
        return "\n".join(connection.iterdump()) + "\n"


def main() -> None:
    """Write down the present revision."""
    from tests.postgres import running

    with tempfile.TemporaryDirectory() as directory, running() as server:
        path, url = Path(directory) / "old.db", server.create()
        for each in (url_of(path), url):
            asyncio.run(fill_old(each))
        (OLD / "sqlite" / f"{migrate.HEAD}.sql").write_text(dump_sqlite(path))
        (OLD / "postgresql" / f"{migrate.HEAD}.sql").write_text(
            server.dump(url, "--inserts", "--no-owner", "--no-privileges") + "\n"
        )


if __name__ == "__main__":
    main()
