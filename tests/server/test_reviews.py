"""Reviews: who may say what of whom, who decides, and what stands in the log."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, insert

from tests.server.stage import API, Stage, new
from tradewind.model.instance import Instance, InstanceStatus, Role
from tradewind.model.money import Price
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Resources
from tradewind.model.usage import Usage
from tradewind.store import rows
from tradewind.store import schema as tables

REVIEW: dict[str, Any] = {
    "used_for": "research",
    "used_from": "2024-01-01",
    "interest": "none",
    "points": {"ease": 4, "leaving": 5},
    "text": "Good.\nWe left in a day.",
}


@pytest.fixture
async def operators(stage: Stage) -> Stage:
    """A second operator, beside root and the others who are there."""
    await stage.user("second", is_operator=True)
    return stage


async def written(stage: Stage, user: str, partner: str = "2i2c", **changes: Any) -> dict[str, Any]:
    """Write a review; return it."""
    async with stage.client(user) as client:
        answer = await client.put(f"{API}/partners/{partner}/review", json=REVIEW | changes)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def decided(stage: Stage, review: dict[str, Any], *, by: str = "root", **decision: Any) -> httpx.Response:
    async with stage.client(by) as client:
        return await client.post(f"{API}/reviews/{review['id']}/decision", json={"publish": True} | decision)


async def seen(stage: Stage, user: str, **which: str) -> list[dict[str, Any]]:
    """Return the reviews that somebody sees."""
    async with stage.client(user) as client:
        return list((await client.get(f"{API}/reviews", params=which)).json()["items"])


async def log(stage: Stage) -> list[tuple[str, str, str, str]]:
    """Return what the audit log of the server says of reviews, oldest first."""
    async with stage.client("root") as client:
        entries = (await client.get(f"{API}/audit")).json()["items"]
    told = [(one["user"], one["action"], one["subject"], one["detail"]) for one in entries]
    return [one for one in reversed(told) if one[1].startswith(("review.", "speaker."))]


async def test_a_review_is_seen_by_others_once_an_operator_has_published_it(operators: Stage) -> None:
    review = await written(operators, "mia")
    before = [await seen(operators, user) for user in ("mia", "otto", "root")]

    answer = await decided(operators, review)

    assert [len(reviews) for reviews in before] == [1, 0, 1]
    assert answer.json()["status"] == "published"
    (shown,) = await seen(operators, "otto")
    assert (shown["by"], shown["said"]["text"], shown["decided_by"]) == ("mia", REVIEW["text"], "root")
    assert await log(operators) == [
        ("mia", "review.written", f"2i2c {review['id']}", "interest: none"),
        ("root", "review.published", f"2i2c {review['id']}", ""),
    ]


async def test_a_refusal_has_a_reason_that_its_writer_alone_sees(operators: Stage) -> None:
    review = await written(operators, "mia")

    without = await decided(operators, review, publish=False)
    refused = await decided(operators, review, publish=False, reason="it names a person")

    assert without.status_code == 400
    assert "a refusal has a reason" in without.json()["detail"]
    assert refused.json()["status"] == "refused"
    assert [one["reason"] for one in await seen(operators, "mia")] == ["it names a person"]
    assert await seen(operators, "otto") == []
    assert (await log(operators))[-1][3] == "it names a person"


async def test_nobody_decides_on_their_own_review(operators: Stage) -> None:
    review = await written(operators, "root")

    own = await decided(operators, review, by="root")
    others = await decided(operators, review, by="second")

    assert (own.status_code, others.status_code) == (400, 200)
    assert "their own" in own.json()["detail"]


async def test_a_second_review_takes_the_place_of_the_first_and_is_decided_on_anew(operators: Stage) -> None:
    first = await written(operators, "mia")
    await decided(operators, first)

    second = await written(operators, "mia", points={"ease": 1})

    assert await seen(operators, "otto") == []
    assert [one["id"] for one in await seen(operators, "mia")] == [second["id"]]
    assert first["id"] in (await log(operators))[-1][3]


async def test_a_partner_answers_by_who_speaks_for_it_and_by_nobody_else(operators: Stage) -> None:
    review = await written(operators, "mia")
    async with operators.client("otto") as otto, operators.client("root") as root:
        place = f"{API}/reviews/{review['id']}/answer"
        early = await otto.put(place, json={"text": "Thanks."})
        await decided(operators, review)
        stranger = await otto.put(place, json={"text": "Thanks."})
        await root.post(f"{API}/partners/2i2c/speakers", json={"user": "otto"})
        answered = await otto.put(place, json={"text": "Thanks."})
        await root.delete(f"{API}/partners/2i2c/speakers/otto")
        afterwards = await otto.put(place, json={"text": "More."})

    assert [early.status_code, stranger.status_code, answered.status_code, afterwards.status_code] == [
        404,
        400,
        200,
        400,
    ]
    (shown,) = await seen(operators, "max")
    assert (shown["answer"]["by"], shown["answer"]["text"]) == ("otto", "Thanks.")
    assert shown["said"] == review["said"], "an answer changes nothing of what was said"
    assert [entry[1] for entry in await log(operators)][2:] == [
        "speaker.appointed",
        "review.answered",
        "speaker.dismissed",
    ]


async def test_who_speaks_for_a_partner_neither_reviews_nor_decides(operators: Stage) -> None:
    review = await written(operators, "mia")
    async with operators.client("root") as root:
        await root.post(f"{API}/partners/2i2c/speakers", json={"user": "second"})
        await root.post(f"{API}/partners/2i2c/speakers", json={"user": "max"})
        too_late = await root.post(f"{API}/partners/2i2c/speakers", json={"user": "mia"})
    async with operators.client("max") as speaker:
        own = await speaker.put(f"{API}/partners/2i2c/review", json=REVIEW)
    decision = await decided(operators, review, by="second")

    assert [own.status_code, decision.status_code, too_late.status_code] == [400, 400, 400]


async def test_who_speaks_for_one_partner_of_an_operator_has_no_say_in_reviews_of_its_others(operators: Stage) -> None:
    review = await written(operators, "mia", "tradewind-queue")
    async with operators.client("root") as root:
        speakers = f"{API}/partners/tradewind-server/speakers"
        first, moderator = [await root.post(speakers, json={"user": user}) for user in ("max", "second")]
        too_late = await root.post(speakers, json={"user": "mia"})
    async with operators.client("max") as speaker:
        own = await speaker.put(f"{API}/partners/tradewind-queue/review", json=REVIEW)
    decision = await decided(operators, review, by="second")

    assert (first.status_code, moderator.status_code) == (200, 200)
    assert [own.status_code, decision.status_code, too_late.status_code] == [400, 400, 400]
    for refused in (own, decision):
        assert "tradewind-server, whose operator is that of tradewind-queue" in refused.json()["detail"]
    assert "withdrawn first" in too_late.json()["detail"]
    assert await seen(operators, "otto") == []


async def test_who_speaks_for_a_partner_has_an_interest_in_all_others_and_declares_it(operators: Stage) -> None:
    async with operators.client("root") as root:
        await root.post(f"{API}/partners/2i2c/speakers", json={"user": "max"})
    async with operators.client("max") as speaker:
        silent = await speaker.put(f"{API}/partners/coiled/review", json=REVIEW)
    declared = await written(operators, "max", "coiled", interest="competes", interest_note="I speak for 2i2c")
    await decided(operators, declared)
    async with operators.client("mia") as mia:
        (summary,) = (await mia.get(f"{API}/reviews/summary")).json()["items"]

    assert silent.status_code == 400
    assert "you speak for 2i2c, and declare no interest" in silent.json()["detail"]
    assert (summary["partner"], summary["reviews"], summary["interested"]) == ("coiled", 0, 1)


async def test_the_log_tells_that_who_speaks_for_another_partner_decided(operators: Stage) -> None:
    review = await written(operators, "mia")
    async with operators.client("root") as root:
        await root.post(f"{API}/partners/coiled/speakers", json={"user": "second"})

    await decided(operators, review, by="second", publish=False, reason="it names a person")

    assert (await log(operators))[-1][3] == "it names a person; decided by who speaks for coiled"
    assert [one["reason"] for one in await seen(operators, "mia")] == ["it names a person"]


async def test_nobody_comes_to_speak_for_a_partner_whose_reviews_of_others_count_as_without_interest(
    operators: Stage,
) -> None:
    await decided(operators, await written(operators, "max", "coiled"))
    async with operators.client("root") as root:
        speakers = f"{API}/partners/2i2c/speakers"
        before = await root.post(speakers, json={"user": "max"})
        await written(operators, "max", "coiled", interest="competes", interest_note="I shall speak for 2i2c")
        after = await root.post(speakers, json={"user": "max"})

    assert (before.status_code, after.status_code) == (400, 200)
    assert "max has written of coiled with no interest declared" in before.json()["detail"]


async def test_a_withdrawn_review_is_gone_and_the_log_remembers(operators: Stage) -> None:
    review = await written(operators, "mia")
    await decided(operators, review)
    async with operators.client("mia") as mia:
        gone = [await mia.delete(f"{API}/partners/2i2c/review") for _ in range(2)]

    assert [answer.status_code for answer in gone] == [204, 404]
    assert await seen(operators, "root") == []
    assert (await log(operators))[-1][:3] == ("mia", "review.withdrawn", f"2i2c {review['id']}")


async def test_summaries_count_what_is_published(operators: Stage) -> None:
    for user, points in (("mia", 5), ("max", 3), ("otto", 1), ("vera", 4)):
        interest = {"interest": "competes", "interest_note": "sells another"} if user == "vera" else {}
        review = await written(operators, user, points={"ease": points}, **interest)
        await decided(operators, review)
    await written(operators, "tom", points={"ease": 5})
    async with operators.client("mia") as mia:
        (summary,) = (await mia.get(f"{API}/reviews/summary")).json()["items"]

    assert (summary["partner"], summary["reviews"], summary["interested"], summary["is_few"]) == ("2i2c", 3, 1, False)
    (ease,) = summary["criteria"]
    assert (ease["count"], ease["counts"], ease["shrunk"]) == (3, [1, 0, 1, 0, 1], 3.0)


async def test_pages_of_a_list_hold_each_review_once(operators: Stage) -> None:
    for user in ("mia", "max", "otto", "vera", "tom"):
        await decided(operators, await written(operators, user))
    found: list[str] = []
    cursor: dict[str, str] = {}
    async with operators.client("mia") as mia:
        while True:
            page = (await mia.get(f"{API}/reviews", params={"limit": "2"} | cursor)).json()
            found += [one["by"] for one in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        wrong = await mia.get(f"{API}/reviews", params={"cursor": "made-up"})

    assert sorted(found) == ["max", "mia", "otto", "tom", "vera"]
    assert wrong.status_code == 400


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"points": {}}, "points for one thing at least"),
        ({"points": {"speed": 3}}, "no points for 'speed'"),
        ({"points": {"ease": 6}}, "give 1 to 5"),
        ({"points": {"ease": 0}}, "give 1 to 5"),
        ({"points": {"ease": True}}, "points"),
        ({"points": {"ease": 4.5}}, "points"),
        ({"interest": "works-for-it"}, "say in interest_note what it is"),
        ({"interest_note": "a cousin"}, "you declare none"),
        ({"interest": "secret"}, "interest"),
        ({"used_from": "2999-01-01"}, "used_from"),
        ({"used_from": "1999-01-01"}, "used_from"),
        ({"used_until": "2023-01-01"}, "used_until"),
        ({"text": "x" * 4001}, "4001 characters"),
        ({"text": "a\x1b[2Jb"}, "can be printed"),
        ({"text": "a\u202eb"}, "can be printed"),
        ({"text": "a\0b"}, "NUL"),
        ({"proves_cost": True}, "name the workspace"),
        ({"proof_of": "lab"}, "isn't metered"),
    ],
)
async def test_a_review_that_cant_be_kept_is_refused_by_name(
    operators: Stage, changes: dict[str, Any], says: str
) -> None:
    async with operators.client("mia") as mia:
        answer = await mia.put(f"{API}/partners/2i2c/review", json=REVIEW | changes)

    assert answer.status_code == 400, answer.text
    assert says in answer.json()["detail"]


async def test_an_interest_must_be_declared(operators: Stage) -> None:
    silent = {key: value for key, value in REVIEW.items() if key != "interest"}
    async with operators.client("mia") as mia:
        answer = await mia.put(f"{API}/partners/2i2c/review", json=silent)

    assert answer.status_code == 400
    assert "interest" in answer.json()["detail"]


async def test_a_partner_there_isnt_is_told_with_the_nearest(operators: Stage) -> None:
    async with operators.client("mia") as mia:
        answer = await mia.put(f"{API}/partners/coyled/review", json=REVIEW)

    assert answer.status_code == 404
    assert "did you mean 'coiled'?" in answer.json()["detail"]


async def test_a_proof_says_what_was_metered_of_ones_own_and_money_on_wish_alone(operators: Stage) -> None:
    await meter(operators, "mia", "slurm", hours=3)
    await meter(operators, "mia", "local", hours=50)
    await meter(operators, "max", "slurm", hours=700)

    plain = await written(operators, "mia", "tradewind-queue", proof_of="lab")
    with_cost = await written(operators, "mia", "tradewind-queue", proof_of="lab", proves_cost=True)
    everything = await written(operators, "mia", "tradewind-server", proof_of="lab")

    assert (plain["proof"]["providers"], plain["proof"]["instance_hours"]) == (["slurm"], 3.0)
    assert plain["proof"]["cost"] == []
    (cost,) = with_cost["proof"]["cost"]
    assert (Decimal(cost["amount"]), cost["currency"]) == (6, "USD")
    assert (everything["proof"]["providers"], everything["proof"]["instance_hours"]) == (["local", "slurm"], 53.0)


async def test_a_proof_of_nothing_is_refused(operators: Stage) -> None:
    async with operators.client("mia") as mia, operators.client("otto") as otto:
        nothing = await mia.put(f"{API}/partners/tradewind-queue/review", json=REVIEW | {"proof_of": "lab"})
        elsewhere = await otto.put(f"{API}/partners/tradewind-queue/review", json=REVIEW | {"proof_of": "lab"})

    assert nothing.status_code == 400
    assert "nothing of yours was metered" in nothing.json()["detail"]
    assert elsewhere.status_code == 404, "whose workspace it isn't learns nothing of it"


async def meter(stage: Stage, user: str, provider: str, *, hours: int) -> None:
    """Let somebody have used something for so long, two dollars an hour."""
    async with stage.client(user) as client:
        name = f"{user}-{provider}"
        made = (await client.post(f"{API}/workspaces/lab/clusters", json=new(name))).json()
    now = stage.shared.assembly.clock.now()
    offer = Offer(
        provider=provider,
        vm_type="node",
        resources=Resources(cpus=1, memory=GIB),
        price=Price(per_hour=Decimal(2), currency="USD"),
    )
    instance = Instance(
        id=f"i-{name}",
        cluster_id=made["id"],
        role=Role.WORKER,
        order_id=f"o-{name}",
        offer=offer,
        status=InstanceStatus.STOPPED,
        requested_at=now - timedelta(hours=hours + 1),
        expires_at=None,
    )
    usage = Usage(
        instance_id=instance.id,
        sequence=0,
        cluster_id=made["id"],
        cluster_name=name,
        workspace="lab",
        owner=user,
        provider=provider,
        region=None,
        vm_type="node",
        role=Role.WORKER,
        resources=offer.resources,
        price=offer.price,
        started_at=now - timedelta(hours=hours + 1),
        stopped_at=now - timedelta(hours=1),
    )

    def put(connection: Connection) -> None:
        connection.execute(insert(tables.instances).values(rows.instance_values(instance)))
        connection.execute(insert(tables.usages).values(rows.usage_values(usage)))

    await stage.shared.assembly.store._transactions.write(put)
