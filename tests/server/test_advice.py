"""The advisor's pages and their data: open to all or to who is signed in, and the same answer in both."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given, settings

from tests.advisor.asking import TODAY
from tests.advisor.test_link import BRIEF, SHARED
from tests.server.stage import API, Stage
from tradewind.advisor.link import Shared, write_link
from tradewind.advisor.shelf import open_shelf
from tradewind.config import ServeSettings, Settings
from tradewind.model.people import MemberRole
from tradewind.server.advice.answering import answered
from tradewind.server.advice.asking import filled
from tradewind.server.advice.sheet import Sheet
from tradewind.server.pages.template import render

LINK = "1~2026-11-01~hub.must~admin.nobody~pay.money~people.60"
OPEN = [
    "/advise",
    f"/advise?a={LINK}",
    f"/advise/answer?a={LINK}",
    "/partners",
    "/partners/2i2c",
    "/partners/compare?partner=2i2c&partner=coiled",
    f"{API}/partners",
    f"{API}/partners/2i2c",
    f"{API}/advice/questions",
    f"{API}/advice?a={LINK}",
]


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A stranger at a server as it is by default."""
    stage = await Stage.open(tmp_path)
    async with stage.client() as client:
        yield client
    await stage.aclose()


@pytest.mark.parametrize("is_open", [True, False])
async def test_the_operator_says_who_may_read_it(tmp_path: Path, is_open: bool) -> None:
    stage = await Stage.open(tmp_path, Settings(serve=ServeSettings(open_advisor=is_open)))
    await stage.workspace("lab", {"olga": MemberRole.OWNER})
    async with stage.client() as stranger, stage.client("olga") as olga:
        answers = {path: (await stranger.get(path), await olga.get(path)) for path in OPEN}
    await stage.aclose()

    for path, (strangers, olgas) in answers.items():
        assert olgas.status_code == 200, path
        if is_open:
            assert strangers.status_code == 200, path
        elif path.startswith(API):
            assert strangers.status_code == 401, path
        else:
            assert strangers.status_code == 303, path
            assert unquote(strangers.headers["location"]) == f"/sign-in?next={path}"


@pytest.mark.parametrize("path", OPEN)
async def test_nobody_can_write_there(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.post(path)).status_code == 405


async def test_a_form_leads_to_its_link_and_the_link_to_the_same_answer_as_its_data(client: httpx.AsyncClient) -> None:
    form = "/advise/answer?a=1~2026-11-01&hub=must&admin=nobody&pay=money&people=60&country=&regions=&w.leave="
    sent = await client.get(form)
    page = await client.get(sent.headers["location"])
    data = (await client.get(f"{API}/advice", params={"a": LINK})).json()

    assert sent.status_code == 303
    assert re.fullmatch(
        r"/advise/answer\?a=1~[\d-]{10}~admin\.nobody~hub\.must~pay\.money~people\.60", sent.headers["location"]
    )
    first = data["ranked"][0]["name"]
    assert f"<h1>{first} fits your group best</h1>" in page.text
    for one in data["ranked"]:
        assert one["name"] in unescape(page.text)


async def test_an_old_link_says_when_it_was_made_and_what_it_is_answered_by(client: httpx.AsyncClient) -> None:
    page = await client.get(f"/advise/answer?a={LINK}~colour.blue")

    assert "This link was made on 2026-11-01" in page.text
    assert re.search(r"by a directory that was last read on \d{4}-\d\d-\d\d", page.text)
    assert "was left out: colour.blue" in page.text


async def test_answers_that_cant_both_be_so_are_marked_at_both_questions(client: httpx.AsyncClient) -> None:
    page = await client.get("/advise/answer?pay=nothing&budget_per_month=5&people=many")
    text = unescape(page.text)

    assert page.status_code == 400
    assert "contradict each other: you pay with nothing, and you could spend money" in re.sub(r"<[^>]+>", "", text)
    for question in ("pay", "budget_per_month", "people"):
        asked = text[text.index(f'id="q-{question}"') :]
        assert 'class="problem"' in asked[: asked.index("</p>\n</div>")], question
    assert 'value="nothing" checked' in text, "what was filled in stays"
    assert 'value="many"' in text


async def test_a_number_or_a_day_that_cant_be_meant_is_marked_at_its_question(client: httpx.AsyncClient) -> None:
    page = await client.get("/advise/answer?hub=must&people=0&project_until=2020-01-01&e.hours=900")

    assert page.status_code == 400
    for words in ("give a whole one like 250, from 1 up", "2020-01-01 has passed", "give a number up to 744"):
        assert words in page.text


async def test_the_link_of_a_project_that_has_ended_since_still_opens(client: httpx.AsyncClient) -> None:
    page = await client.get("/advise/answer?a=1~2026-11-01~hub.must~project_until.2026-11-02")

    assert page.status_code == 200


async def test_a_contradictory_link_is_asked_again_and_not_answered(client: httpx.AsyncClient) -> None:
    page = await client.get("/advise/answer?a=1~2026-11-01~pay.nothing~budget_per_month.5")

    assert page.status_code == 400
    assert "There is no answer yet" in page.text


async def test_a_weight_that_is_moved_stands_in_the_link_and_one_left_alone_does_not(client: httpx.AsyncClient) -> None:
    page = await client.get(f"/advise/answer?a={LINK}")
    shown = dict(re.findall(r'name="w\.([\w-]+)"[^>]* value="([\d.]+)"', page.text))
    sent = await client.get(
        "/advise/answer", params={"a": LINK, **{f"w.{n}": w for n, w in shown.items()}, "w.leave": "9"}
    )

    assert len(shown) > 5
    assert sent.headers["location"].endswith("~w.leave.9")
    assert sent.headers["location"].count("~w.") == 1


async def test_who_answers_nothing_is_told_that_it_says_nothing(client: httpx.AsyncClient) -> None:
    page = await client.get("/advise/answer?a=1~2026-11-01")

    assert page.status_code == 200
    assert "There is no advice without an answer" in page.text


async def test_no_honest_offer_is_said_with_what_is_nearest(client: httpx.AsyncClient) -> None:
    link = "1~2026-11-01~hub.must~pay.money~admin.nobody~people.30~budget_per_month.200"
    page = await client.get(f"/advise/answer?a={link}")

    assert "<h1>No honest offer found</h1>" in page.text
    assert "would fit, if not for one thing" in page.text


async def test_a_filter_leaves_what_was_wanted(client: httpx.AsyncClient) -> None:
    async def names(query: str) -> set[str]:
        page = await client.get(f"/partners?{query}")
        assert page.status_code == 200, page.text
        return set(re.findall(r'name="partner" value="([\w-]+)"', page.text))

    everything = await names("")
    assert len(everything) >= 40
    assert await names("kind=programme") | await names("kind=software") | await names("kind=platform") == everything
    assert await names("state=usable") | await names("state=over") == everything
    assert "nebari" in await names("state=over")
    assert {"2i2c"} < await names("has=hub") < everything
    assert "2i2c" in await names("words=jupyterhubs+non-profit")
    assert await names("words=nothing+is+like+this") == set()


@pytest.mark.parametrize(
    "path",
    [
        "/partners?kind=nice",
        "/partners?has=status",
        "/partners/compare?partner=2i2c",
        "/partners/compare",
        "/partners/compare?partner=2i2c&partner=coiled&partner=modal&partner=daskhub",
        "/advise?a=2~x",
        "/advise/answer?w.leave=often",
        "/advise/answer?e.read=none",
        "/advise/answer?" + "&".join(f"x{n}=1" for n in range(500)),
    ],
)
async def test_what_cant_be_is_named_on_a_page(client: httpx.AsyncClient, path: str) -> None:
    page = await client.get(path)

    assert page.status_code == 400
    assert 'role="alert"' in page.text


async def test_every_fact_stands_there_with_its_source_its_age_and_who_gains(client: httpx.AsyncClient) -> None:
    data = (await client.get(f"{API}/partners/2i2c")).json()
    text = re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", "", (await client.get("/partners/2i2c")).text)))

    for fact in data["facts"]:
        assert f"read {fact['read_date']} (" in text
        assert fact["source"]["code"] in text
        assert f"Interest: {'; '.join(fact['interest'])}." in text
    assert text.count("unverified") >= sum(fact["confidence"] == "unverified" for fact in data["facts"])


async def test_the_directory_travels_packed(client: httpx.AsyncClient) -> None:
    packed = await client.get("/partners", headers={"Accept-Encoding": "gzip"})
    plain = await client.get("/partners", headers={"Accept-Encoding": "identity"})

    assert packed.text == plain.text
    assert int(packed.headers["content-length"]) * 8 < len(plain.content)


@given(BRIEF | SHARED)
@settings(max_examples=40, deadline=None)
def test_whatever_was_answered_there_is_a_page_with_one_heading_and_every_link_on_it_opens(shared: Shared) -> None:
    sheet = answered({"a": [write_link(shared)]}, TODAY)
    assert isinstance(sheet, Sheet)
    text = render(sheet.template, signed=None, public_url="https://tradewind.test", **sheet.values)

    assert text.count("<h1>") == 1
    assert sheet.status == (400 if "There is no answer yet" in text else 200)
    for link in set(re.findall(r'href="/advise/answer\?a=([^"]+)"', text)):
        other = filled(open_shelf(), {"a": [unquote(unescape(link))]}, TODAY)
        assert not other.is_wrong, "no other answer that is proposed contradicts what was said"


async def test_what_is_likely_to_cost_more_than_one_could_spend_is_marked(client: httpx.AsyncClient) -> None:
    plain = await client.get("/advise/answer?a=1~2026-11-01~hub.must~pay.money~people.20")
    poor = await client.get("/advise/answer?a=1~2026-11-01~hub.must~pay.money~people.20~budget_per_month.1900")
    stored = await client.get("/advise/answer?a=1~2026-11-01~hub.must~pay.money~people.20~e.storage.1000")

    assert "over your budget" not in plain.text
    assert "over your budget" in poor.text
    assert 'class="mark"' in poor.text
    assert "results that are kept, 1000 TB" in stored.text
    assert "These are guesses" not in stored.text


@pytest.mark.parametrize(
    ("data_at", "centre"),
    [("hpc", "an allocation, and no money"), ("aws", "only if the data are moved there first")],
)
async def test_the_costs_of_a_page_go_by_where_the_data_are(
    client: httpx.AsyncClient, data_at: str, centre: str
) -> None:
    page = await client.get(f"/advise/answer?a=1~2026-11-01~people.30~work.dask~data_at.{data_at}")
    rows = unescape(page.text).split('<li><span class="way">')
    told = {row.split("</span>")[0]: row.split("</li>")[0] for row in rows[1:]}

    assert centre in told["A computing centre, in service units"]
    assert ("moved there" in told["Ephemeral clusters on spot, run by yourselves"]) is (data_at == "hpc")


async def test_two_together_are_told_with_the_fee_and_the_doubts_of_each(client: httpx.AsyncClient) -> None:
    link = "1~2026-11-01~work.dask.publish~pay.money~budget_per_month.600~admin.python~hub.no~people.5"

    page = (await client.get(f"/advise/answer?a={link}")).text
    data = (await client.get(f"{API}/advice?a={link}")).json()

    told = page[page.index('id="pairs"') : page.index('id="costs"')]
    assert "a fee that is unknown here" in told
    assert "Machines are billed as they run" in told
    assert data["combinations"][-1]["fee_usd_per_month"] is None
    assert all(one["conditions"] for one in data["combinations"][0]["partners"])


async def test_a_free_offers_card_says_who_pays_for_it_and_another_answer_what_it_would_cost(
    client: httpx.AsyncClient,
) -> None:
    page = (await client.get("/advise/answer?a=1~2026-11-01~hub.must~admin.nobody~pay.nothing~country.DE")).text

    poor = (
        await client.get("/advise/answer?a=1~2026-11-01~hub.must~admin.nobody~pay.credits~country.NP~people.1")
    ).text

    assert "projects of the European Union (EGI-ACE, C-SCALE); until when: unknown" in page
    assert "2i2c (1,260 USD a month at least) would come first" in poor
