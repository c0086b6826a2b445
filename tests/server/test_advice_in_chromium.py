"""The advisor's pages in a real browser: on a phone, from a keyboard, read aloud, light and dark, without scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.chromium import FAINT, NAMELESS, SMALL, WIDE, needs_chromium, opened
from tests.server.running import listening
from tests.server.stage import Stage
from tradewind.config import ServeSettings, Settings

pytestmark = needs_chromium

ANSWERS = "1~2026-11-20~work.dask~hub.must~admin.nobody~pay.money~people.60~uses_now.nebari~w.leave.5"
PAGES = {
    "questions": "/advise",
    "answer": f"/advise/answer?a={ANSWERS}",
    "nothing": "/advise/answer?a=1~2026-11-20~hub.must~pay.nothing~admin.nobody~country.NP~uptime.always",
    "partners": "/partners",
    "partner": "/partners/2i2c",
    "compared": "/partners/compare?partner=2i2c&partner=coiled&partner=tradewind-queue",
}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
FOCUS = """() => {
  const e = document.activeElement, style = getComputedStyle(e);
  const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
  return {name: e.name || '', tag: e.tagName, seen};
}"""
OPEN_ALL = "() => document.querySelectorAll('details').forEach(e => e.open = true)"


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    """A server that nobody is signed in to."""
    serve = ServeSettings(requests_per_second=1e6, burst=1_000_000, tls=False)
    stage = await Stage.open(tmp_path, Settings(serve=serve))
    async with listening(stage) as url:
        yield url
    await stage.aclose()


async def test_on_a_phone_nothing_is_cut_off_or_too_small_for_a_thumb(url: str) -> None:
    async with opened(**PHONE) as page:
        for name, path in PAGES.items():
            await page.goto(url + path)
            for state in ("closed", "open"):
                assert await page.evaluate(WIDE) == [], (name, state)
                assert await page.evaluate("document.documentElement.scrollWidth") <= 390, (name, state)
                assert await page.evaluate(SMALL) == [], (name, state)
                await page.evaluate(OPEN_ALL)
        assert page.wrong == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_all_can_be_read_and_is_named(url: str, scheme: str) -> None:
    faulty = {"wrong": "/advise/answer?pay=nothing&budget_per_month=5&people=many"}
    async with opened(color_scheme=scheme) as page:
        for name, path in {**PAGES, **faulty}.items():
            await page.goto(url + path)
            await page.evaluate(OPEN_ALL)
            assert await page.evaluate(FAINT) == [], name
            assert await page.evaluate(NAMELESS) == [], name


async def test_a_keyboard_alone_leads_from_the_first_question_to_the_answer(url: str) -> None:
    async with opened() as page:
        await page.goto(f"{url}/advise")
        await _tab_to(page, "work")
        await page.keyboard.press("Space")
        await _tab_to(page, "hub")
        await page.keyboard.press("ArrowDown")  # from "don't know", the last, to the first: "we need one"
        assert await page.evaluate("document.activeElement.value") == "must"
        await _tab_to(page, "country")
        await page.keyboard.type("Ken")
        await _tab_to(page, "people")
        await page.keyboard.type("60")
        await page.keyboard.press("Enter")
        await page.wait_for_url("**/advise/answer?a=*")

        assert "a=1~" in page.url
        assert page.url.endswith("~country.KE~hub.must~people.60~work.notebooks")
        assert await page.locator("h2#do").inner_text() == "What to do first"
        more = page.locator("#next [name]:not([type=hidden])").first  # the one question more that may change it
        name = await more.get_attribute("name")
        await _tab_to(page, name)
        match await more.get_attribute("type"):
            case "radio":
                await page.keyboard.press("ArrowDown")
            case "checkbox":
                await page.keyboard.press("Space")
            case _:
                await page.keyboard.type("5000")
        await page.keyboard.press("Enter")
        await page.wait_for_url(f"**~{name}.*")
        assert page.wrong == []


async def _tab_to(page: Any, name: str) -> None:
    """Press Tab until a question has the focus, and see that where it is can be seen all the way."""
    for _ in range(150):
        await page.keyboard.press("Tab")
        at = await page.evaluate(FOCUS)
        assert at["seen"] or at["tag"] == "BODY", at
        if at["name"] == name:
            return
    raise AssertionError(f"Tab never leads to {name}")


async def test_without_scripts_everything_works_the_same(url: str) -> None:
    async with opened(java_script_enabled=False, **PHONE) as page:
        await page.goto(f"{url}/advise")
        await page.get_by_label("we need one").check()
        await page.get_by_label("How many people will use it?").fill("60")
        await page.get_by_role("button", name="Show the answer").first.click()
        assert "What to do first" in await page.content()
        await page.get_by_text("Reckon with other numbers").click()
        await page.get_by_label("Results that are kept").fill("500")
        await page.get_by_role("button", name="Reckon again").click()
        assert "e.storage.500" in page.url
        await page.goto(f"{url}/partners?kind=software")
        await page.get_by_label("Compare Icechunk").check()
        await page.get_by_label("Compare SkyPilot").check()
        await page.get_by_role("button", name="Compare").first.click()
        assert "Where they differ" in await page.content()


async def test_the_directory_is_on_one_page(url: str) -> None:
    async with opened() as page:
        await page.goto(f"{url}/partners")
        assert await page.locator(".facts-of tbody tr").count() > 1500


@pytest.mark.parametrize(
    "path",
    [
        "/advise/answer?a=1~2026-11-20~hub.%3Cimg%20src=x%20onerror=alert(1)%3E",
        "/advise/answer?people=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
        "/advise/answer?%3Cimg%20src=x%20onerror=alert(1)%3E=1",
        "/advise/answer?country='%3E%3Cscript%3Ealert(1)%3C/script%3E",
        "/advise/answer?w.leave=%22onfocus=alert(1)%20autofocus=%22",
        "/partners?words=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E",
        "/partners?kind=%3Cscript%3Ealert(1)%3C/script%3E",
        "/partners/%3Cimg%20src=x%20onerror=alert(1)%3E",
        "/partners/compare?partner=%3Csvg%20onload=alert(1)%3E&partner=coiled",
    ],
)
async def test_what_a_link_brings_along_stays_words(url: str, path: str) -> None:
    async with opened() as page:
        await page.goto(url + path)
        brought = await page.evaluate(
            "document.querySelectorAll('img, body script, [onerror], [onload], [onfocus]').length"
        )
        told = [words for words in page.wrong if "400" not in words and "404" not in words]

    assert brought == 0
    assert told == []
