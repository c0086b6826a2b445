"""Groups that asked, or could have: what an expert would tell them must stand first, and what he wouldn't, nowhere."""

from __future__ import annotations

from typing import Any

import pytest

from tests.advisor.asking import asked, brought_first, first, left_out, offered, partner

CASES: list[tuple[str, dict[str, Any], set[str], set[str]]] = [
    # name, answers, what may stand first, what must not be recommended
    (
        "no hub, has money, several regions",
        {"hub": "no", "pay": ["money"], "regions": "several"},
        {"coiled"},
        {"2i2c", "nebari"},
    ),
    (
        "wants a hub, manages nothing, has money",
        {"hub": "must", "admin": "nobody", "pay": ["money"]},
        {"2i2c"},
        {"daskhub", "nebari", "coiled"},
    ),
    (
        "credits alone, one modest admin, some days of downtime",
        {"hub": "must", "pay": ["credits"], "admin": "linux", "uptime": "days"},
        {"daskhub"},
        {"nebari", "nebari-infrastructure-core", "2i2c"},
    ),
    (
        "credits alone, and no word of a hub",
        {"pay": ["credits"], "admin": "linux", "uptime": "days"},
        {"daskhub"},
        {"nebari", "nebari-infrastructure-core", "2i2c"},
    ),
    (
        "an operational forecast centre in Nairobi",
        {
            "country": "Kenya",
            "work": ["dask", "scheduled"],
            "data_at": ["aws"],
            "admin": "python",
            "uptime": "always",
            "pay": ["money"],
            "people": 5,
            "purpose": "operational",
            "data_kind": ["climate"],
            "affiliation": "government",
        },
        {"coiled"},
        {"2i2c", "daskhub", "mybinder", "dask-gateway"},
    ),
    (
        "ocean modellers who may use Azure alone",
        {
            "clouds_allowed": ["azure"],
            "data_rules": "contract",
            "data_kind": ["climate"],
            "work": ["dask"],
            "pay": ["money"],
            "admin": "python",
        },
        {"coiled", "daskhub"},
        {"jetstream2", "leap-hub", "planetary-computer-hub"},
    ),
    (
        "a course of sixty in Malawi, without money, on a poor line",
        {
            "country": "Malawi",
            "people": 60,
            "people_at_once": 60,
            "work": ["teaching"],
            "network": "cuts",
            "pay": ["nothing"],
            "cloud_account": "no",
            "admin": "nobody",
            "purpose": "education",
            "affiliation": "academic",
        },
        {"mybinder", "jupyterlite"},
        {"2i2c", "coiled", "daskhub", "jetstream2", "nectar"},
    ),
    (
        "a computing centre in Córdoba",
        {
            "country": "Argentina",
            "own_machines": ["hpc", "server"],
            "admin": "kubernetes",
            "pay": ["nothing"],
            "work": ["notebooks", "dask"],
            "hub": "must",
            "data_at": ["hpc"],
            "freedom": "much",
        },
        {"jupyterhub-hpc", "dask-jobqueue"},
        {"2i2c", "coiled"},
    ),
    (
        "a doctoral student in Dakar with satellite images",
        {
            "country": "Senegal",
            "affiliation": "student",
            "data_kind": ["satellite"],
            "network": "slow",
            "pay": ["nothing"],
            "people": 1,
            "work": ["notebooks"],
            "support_language": ["fr"],
            "own_machines": ["laptop"],
            "admin": "nobody",
        },
        {"deafrica", "earth-engine"},
        {"2i2c", "jetstream2", "coiled"},
    ),
    (
        "a student in the USA with forty thousand runs",
        {
            "country": "USA",
            "affiliation": "student",
            "work": ["jobs"],
            "pay": ["nothing"],
            "people": 1,
            "admin": "python",
        },
        {"ospool"},
        {"2i2c", "saturn-cloud"},
    ),
    (
        "a European ocean group that must stay free",
        {
            "country": "France",
            "affiliation": "academic",
            "work": ["notebooks", "dask"],
            "data_at": ["european-cloud"],
            "freedom": "much",
            "data_kind": ["climate"],
            "languages": ["python"],
        },
        {"pangeo-eosc"},
        {"jetstream2", "nebari"},
    ),
    (
        "an agency of R users with a cluster",
        {
            "affiliation": "government",
            "people": 40,
            "main_language": "r",
            "languages": ["r"],
            "own_machines": ["hpc"],
            "admin": "linux",
            "admins": 2,
            "pay": ["money"],
            "work": ["notebooks", "apps"],
        },
        {"posit-workbench"},
        {"coiled", "modal", "dask-jobqueue"},
    ),
    (
        "astronomers in Cape Town beside their data",
        {
            "country": "South Africa",
            "affiliation": "academic",
            "data_at": ["hpc"],
            "data_tb": 100,
            "data_kind": ["astronomy"],
            "own_machines": ["hpc"],
            "work": ["dask"],
            "ties": ["ilifu-partner-institution"],
            "pay": ["nothing"],
        },
        {"ilifu", "jupyterhub-hpc", "dask-jobqueue"},
        {"coiled", "2i2c", "daskhub"},
    ),
    (
        "a cryosphere group of NASA's beside Earthdata",
        {
            "country": "US",
            "people": 25,
            "data_at": ["aws"],
            "hub": "must",
            "ties": ["nasa-earth-science-project"],
            "data_kind": ["climate"],
            "pay": ["money"],
            "admin": "python",
            "affiliation": "academic",
        },
        {"cryocloud", "openscapes-hub"},
        {"mybinder", "nebari"},
    ),
    (
        "bursts of GPUs for one engineer with 300 dollars",
        {
            "work": ["gpu", "jobs"],
            "budget_per_month": 300,
            "admin": "python",
            "affiliation": "nonprofit",
            "hub": "no",
            "pay": ["money"],
            "people": 1,
        },
        {"skypilot", "modal"},
        {"2i2c", "cdse"},
    ),
    (
        "hydrologists in Queensland",
        {
            "country": "Australia",
            "affiliation": "academic",
            "languages": ["python", "r"],
            "data_at": ["own-disk"],
            "data_tb": 30,
            "hub": "must",
            "admin": "nobody",
            "work": ["notebooks"],
        },
        {"nectar"},
        {"jetstream2", "eratos", "pangeo-eosc"},
    ),
]


@pytest.mark.parametrize(("name", "answers", "may", "never"), CASES, ids=[case[0] for case in CASES])
def test_what_an_expert_would_say_stands_first(
    name: str, answers: dict[str, Any], may: set[str], never: set[str]
) -> None:
    advice = asked(**answers)

    assert first(advice)
    assert first(advice) <= may
    assert not never & set(offered(advice))


def test_a_hub_and_computing_in_several_regions_are_two_services_together() -> None:
    advice = asked(hub="must", admin="nobody", pay=["money"], regions="several")

    assert offered(advice) == []
    assert advice.found
    assert {advice.pairs[0].first.id, advice.pairs[0].second.id} == {"2i2c", "coiled"}


def test_the_answer_itself_says_since_when_the_answer_of_2023_is_over() -> None:
    advice = asked(hub="must", pay=["credits"], admin="linux", uptime="days")

    (over,) = [one for one in advice.excluded if one.partner.id == "nebari"]
    (reason,) = over.because
    assert reason.rule == "over"
    assert "archived, since 2026-04-21" in reason.facts[0].shown
    assert reason.facts[0].source.code == "NB-1"
    assert over.otherwise is not None


def test_what_its_makers_call_unstable_is_left_out_with_their_words() -> None:
    advice = asked(hub="must", pay=["credits"], admin="kubernetes")

    assert left_out(advice, "nebari-infrastructure-core") == {"over"}
    assert any("not yet suitable" in remark.text for remark in partner("NIC").remarks)


def test_day_and_night_is_promised_by_nobody_so_a_second_way_is_asked_for() -> None:
    advice = asked(country="Fiji", uptime="always", admin="python", network="cuts", work=["scheduled"], pay=["money"])

    assert all(any("fall-back" in words for words in one.conditions) for one in advice.ranked)
    assert all(pair.first.operator != pair.second.operator for pair in advice.pairs)
    assert all("as long as they don't both stand on aws" in pair.why for pair in advice.pairs)
    assert advice.pairs


def test_day_and_night_is_never_one_persons_own_cluster() -> None:
    advice = asked(uptime="always", admin="linux", admins=1, work=["dask"], pay=["money"])

    assert "one-person-day-and-night" in left_out(advice, "daskhub")
    assert "one-person-day-and-night" in left_out(advice, "tradewind-server")


def test_no_money_no_card_and_no_machine_but_a_laptop_finds_no_honest_offer() -> None:
    advice = asked(
        country="Nepal",
        affiliation="student",
        pay=["nothing"],
        work=["dask"],
        data_at=["own-disk"],
        data_tb=5,
        own_machines=["laptop"],
        cloud_account="no",
        people=1,
        data_kind=["climate"],
        admin="nobody",
    )

    assert not advice.found
    assert {"dask-local"} <= {one.partner.id for one in advice.excluded if one.otherwise == 1}
    assert "google-research-credits" not in {one.partner.id for one in advice.programmes}


def test_what_must_not_leave_a_hospital_goes_to_nobody_elses_service() -> None:
    advice = asked(country="Germany", data_rules="institution", work=["dask"], admin="linux", own_machines=["hpc"])

    assert first(advice) <= {"dask-jobqueue", "jupyterhub-hpc", "dask-gateway"}
    assert all(one.partner.facts["control"].value == "yours" for one in advice.ranked)
    assert {"2i2c", "coiled", "egi-notebooks"} & {one.partner.id for one in advice.ask_first} == set()


def test_who_still_names_a_service_that_has_ended_is_told_when_and_where_to_go() -> None:
    advice = asked(uses_now=["Planetary Computer Hub"], hub="must")

    (used,) = advice.in_use
    assert used.status is not None
    assert used.status.shown == "retired, since 2024-06-06"
    assert used.move_to is not None


def test_a_managed_hub_for_less_than_any_costs_isnt_offered() -> None:
    advice = asked(people=30, budget_per_month=200, hub="must", admin="nobody", pay=["money"])

    assert not advice.found
    assert left_out(advice, "2i2c") == {"over-budget"}
    assert any({"2i2c"} == names for names in brought_first(advice, "budget_per_month").values())


def test_it_says_what_somebody_to_look_after_it_would_change() -> None:
    advice = asked(hub="must", pay=["credits"], admin="nobody")

    assert "daskhub" in brought_first(advice, "admin")["linux"]


def test_a_free_offer_stands_before_a_better_one_unless_nobody_wants_that() -> None:
    answers = {"country": "Australia", "affiliation": "academic", "hub": "must", "work": ["notebooks"], "people": 30}

    assert first(asked(**answers)) == {"nectar"}
    by_score = asked(**answers, prefer_free="no").ranked
    assert [one.judgement.score for one in by_score] == sorted((one.judgement.score for one in by_score), reverse=True)


def test_an_offer_for_other_countries_is_left_out_and_an_unknown_one_is_asked_about() -> None:
    advice = asked(country="Brazil", affiliation="academic", hub="must", admin="nobody")

    assert "country" in left_out(advice, "nectar")
    assert "pangeo-eosc" in {one.partner.id for one in advice.ask_first}


def test_software_on_machines_that_a_free_offer_gives_is_a_pair() -> None:
    advice = asked(
        country="US", affiliation="academic", work=["notebooks", "gpu"], pay=["nothing"], admin="linux", hub="must"
    )

    assert advice.ranked == ()
    assert {advice.pairs[0].first.id, advice.pairs[0].second.id} == {"jetstream2", "daskhub"}
    assert asked(country="Kenya", work=["notebooks", "gpu"], pay=["nothing"], admin="linux", hub="must").pairs == ()


def test_a_readers_rerun_of_a_paper_needs_no_hub_of_ones_own() -> None:
    assert first(asked(outsiders="yes", pay=["nothing"], people=3)) == {"mybinder"}


def test_a_friend_in_the_country_opens_what_the_country_doesnt() -> None:
    answers = {"country": "Brazil", "affiliation": "academic", "work": ["jobs"], "pay": ["nothing"]}

    assert "ospool" not in offered(asked(**answers))
    assert "ospool" in offered(asked(**answers, ties=["us-based-principal-investigator"]))
