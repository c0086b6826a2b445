from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pyarrow.parquet
import pytest
from sqlalchemy import Connection, insert
from store_records import SECRETS, T0, fill, make_cluster

from tradewind import wire
from tradewind.engine.outward import export
from tradewind.engine.outward.export import HIDDEN, everything, usage_table
from tradewind.model.export import Format
from tradewind.planning.focus import COLUMNS
from tradewind.planning.meter import cost
from tradewind.store import archive, schema
from tradewind.store.archive import LEFT_OUT, NOUNS
from tradewind.store.store import Store

NOW = T0 + timedelta(hours=30)
PASSWORD = "a-password-nobody-may-find-in-the-file"


async def taken(pieces: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in pieces])


def people_of(connection: Connection, workspace: str) -> None:
    """Write a row of each table that ``fill`` leaves empty; each text names its workspace."""
    user, budget = f"u-{workspace}", f"b-{workspace}"
    money = {"currency": "EUR", "burn_per_hour": Decimal(1)}
    period = {"budget_id": budget, "starts_at": T0}
    for table, values in (
        (schema.users, {"id": user, "name": f"ada-{workspace}", "is_operator": False, "created_at": T0}),
        (schema.workspaces, {"name": workspace, "title": f"of {workspace}", "created_at": T0}),
        (
            schema.members,
            {
                "workspace": workspace,
                "user_id": user,
                "role": "owner",
                "agreed_to_mentoring": False,
                "joined_at": T0,
            },
        ),
        (
            schema.invitations,
            {
                "id": f"v-{workspace}",
                "secret_hash": f"{PASSWORD}-{workspace}",
                "workspace": workspace,
                "role": "member",
                "invited_by": f"ada-{workspace}",
                "created_at": T0,
                "expires_at": NOW,
            },
        ),
        (
            schema.audit,
            {
                "at": T0,
                "workspace": workspace,
                "user": f"ada-{workspace}",
                "action": "member.added",
                "subject": workspace,
                "detail": "",
            },
        ),
        (
            schema.budgets,
            {
                "id": budget,
                "workspace": workspace,
                "scope": "workspace",
                "key": "",
                "amount": Decimal(10),
                "currency": "EUR",
                "period": "month",
                "is_hard": True,
                "created_by": f"ada-{workspace}",
                "created_at": T0,
            },
        ),
        (schema.accounts, {**period, **money, "ends_at": NOW, "committed": Decimal(2), "told": 0}),
        (
            schema.reservations,
            {
                **period,
                **money,
                "cluster_id": f"c-{workspace}",
                "use": "used",
                "reserved": Decimal(2),
                "spent": Decimal(1),
                "at": T0,
            },
        ),
        (
            schema.environments,
            {
                "workspace": workspace,
                "name": f"of-{workspace}",
                "version": 1,
                "created_at": T0,
                "created_by": f"ada-{workspace}",
                "content_hash": "ee",
                "image": "",
                "source": f"{workspace}.yml",
                "note": "",
                "platforms": "linux-x86_64",
                "python": "3.11",
                "packages": 0,
                "environments": "[]",
            },
        ),
        (
            schema.webhooks,
            {
                "id": f"h-{workspace}",
                "workspace": workspace,
                "url": f"https://{workspace}.example",
                "signing_key": PASSWORD,
                "created_by": f"ada-{workspace}",
                "created_at": T0,
            },
        ),
    ):
        connection.execute(insert(table).values(values))


@pytest.fixture
async def two(store: Store) -> Store:
    """A store that holds one of everything for each of two workspaces."""
    for workspace in ("lab", "sea"):
        cluster = make_cluster(f"c-{workspace}", workspace=workspace)
        cluster = replace(cluster, spec=replace(cluster.spec, environ={"AWS_SECRET_ACCESS_KEY": PASSWORD}))
        await fill(store, cluster)
        await store._transactions.write(people_of, workspace)
    # What the store writes for the second is said to be of the first, as its helper knows one workspace only.
    await store._transactions.write(_move_usages)
    return store


def _move_usages(connection: Connection) -> None:
    connection.execute(schema.usages.update().where(schema.usages.c.cluster_id == "c-sea").values(workspace="sea"))


def test_every_table_is_exported_or_left_out_for_a_reason() -> None:
    exported = {noun.table.name for noun in NOUNS.values()}
    assert exported | LEFT_OUT.keys() == schema.metadata.tables.keys()
    assert not exported & LEFT_OUT.keys()
    assert list(NOUNS) == [noun.table.name for noun in NOUNS.values()]


async def test_everything_of_a_workspace_is_in_its_export_and_nothing_of_another(two: Store) -> None:
    packed = await taken(everything(two, "lab", NOW))
    with zipfile.ZipFile(io.BytesIO(packed)) as files:
        assert files.testzip() is None
        texts = {name: files.read(name).decode() for name in files.namelist()}
    for noun, one in NOUNS.items():
        lines = texts[f"{noun}.jsonl"].splitlines()
        assert len(lines) == 1, noun
        record = wire.load_json(one.kind, lines[0])
        assert isinstance(record, one.kind)
        assert "lab" in lines[0] or noun == "events", noun
        assert f"`{noun}.jsonl`" in texts["README.md"]
    everything_said = "".join(texts.values())
    assert "sea" not in everything_said.replace("search", "")
    for secret in (PASSWORD, SECRETS.agent_token.reveal(), SECRETS.authority_key.reveal()):
        assert secret not in everything_said
    assert json.loads(texts["clusters.jsonl"])["spec"]["environ"] == {"AWS_SECRET_ACCESS_KEY": HIDDEN}
    schemas = json.loads(texts["schema.json"])
    assert schemas["properties"].keys() == {f"{noun}.jsonl" for noun in NOUNS}


async def test_pages_meet_without_a_gap(two: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "ROWS_AT_ONCE", 3)
    for number in range(10):
        await fill(two, make_cluster(f"d{number:02}", name=f"n{number}"))
    for noun in ("clusters", "usages", "instances", "events", "computations", "members", "accounts"):
        records = [one async for page in two.archive.pages(noun, "lab") for one in page]
        texts = [wire.dump_json(one) for one in records]
        expected = 1 if noun in {"members", "accounts"} else 11
        assert len(set(texts)) == len(texts) == expected, noun


async def test_an_export_comes_in_pieces_as_it_is_read(two: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "NOUNS", {"events": NOUNS["events"]})
    pieces = everything(two, "lab", NOW)
    assert (await anext(pieces)).startswith(b"PK")
    await two.aclose()  # what it hasn't read yet it can't know
    await pieces.aclose()


async def test_tables_of_usage_hold_what_the_meter_counts(two: Store) -> None:
    usages = await two.usages(workspace="lab")
    total = cost(usages, NOW).money[0].amount
    focus = list(csv.DictReader(io.StringIO((await table(two, Format.FOCUS_CSV)).decode())))
    assert [row["ChargePeriodStart"] for row in focus] == ["2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"]
    assert sum(Decimal(row["BilledCost"]) for row in focus) == total
    plain = list(csv.DictReader(io.StringIO((await table(two, Format.CSV)).decode())))
    assert [(row["cluster"], Decimal(row["cost"])) for row in plain] == [("ocean", total)]
    found = pyarrow.parquet.read_table(io.BytesIO(await table(two, Format.FOCUS_PARQUET)))
    assert found.column_names == list(COLUMNS)
    assert str(found.schema.field("BilledCost").type) == "decimal128(38, 12)"
    assert sum(found["BilledCost"].to_pylist()) == total
    assert {row["BillingAccountId"] for row in focus} == {"lab"}


async def test_a_table_of_no_usage_has_a_head(store: Store) -> None:
    assert (await table(store, Format.FOCUS_CSV)).decode().strip().split(",") == list(COLUMNS)
    found = pyarrow.parquet.read_table(io.BytesIO(await table(store, Format.FOCUS_PARQUET)))
    assert (found.num_rows, found.column_names) == (0, list(COLUMNS))


async def test_only_the_asked_range_is_in_a_table(two: Store) -> None:
    pieces = usage_table(two, "lab", Format.CSV, NOW, T0 + timedelta(hours=1), T0 + timedelta(hours=2))
    (row,) = csv.DictReader(io.StringIO((await taken(pieces)).decode()))
    assert Decimal(row["cost"]) == Decimal("0.10")


async def table(store: Store, what: Format) -> bytes:
    return await taken(usage_table(store, "lab", what, NOW, None, None))
