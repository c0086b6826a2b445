"""What the answer says is so: of places, of money, of two together, of what nobody knows."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from typing import Any

import pytest

from tests.advisor.asking import TODAY, asked, first, left_out, offered
from tests.advisor.test_cases import CASES
from tradewind.advisor.match import Advice, advise
from tradewind.advisor.questions import Question, QuestionType
from tradewind.advisor.shelf import open_assumptions, open_shelf
from tradewind.advisor.told import told_advice, with_fee


@pytest.mark.parametrize(
    ("answers", "alike"),
    [
        # One Kubernetes cluster, one computing centre, one cloud beside the data: what stands there fails with it.
        (
            {"own_machines": ["kubernetes"], "admin": "kubernetes", "pay": ["nothing"], "work": ["dask"]},
            {"dask-gateway", "daskhub"},
        ),
        (
            {"own_machines": ["hpc"], "admin": "kubernetes", "pay": ["nothing"], "data_at": ["hpc"], "work": ["dask"]},
            {"jupyterhub-hpc", "dask-jobqueue"},
        ),
        (
            {"data_at": ["aws"], "pay": ["money"], "admin": "python", "work": ["dask", "scheduled"]},
            {"coiled", "saturn-cloud"},
        ),
    ],
)
def test_what_stands_on_the_same_machines_is_no_second_way(answers: dict[str, Any], alike: set[str]) -> None:
    advice = asked(uptime="always", **answers)

    assert alike <= set(offered(advice))
    assert alike not in [{one.partner.id for one in both.told} for both in advice.pairs]


def test_two_together_tell_their_fee_and_what_is_against_each_and_a_known_fee_stands_first() -> None:
    advice = asked(work=["dask", "publish"], pay=["money"], budget_per_month=600, admin="python", hub="no", people=5)

    fees = [both.fee_per_month for both in advice.pairs]
    assert fees[0] is not None
    assert fees == sorted(fees, key=lambda fee: fee is None)
    (both,) = [both for both in advice.pairs if {one.partner.id for one in both.told} == {"arraylake", "coiled"}]
    assert both.fee_per_month is None
    assert all(one.conditions and one.against for one in both.told)


def test_what_has_ended_is_near_to_nothing() -> None:
    advice = asked(
        country="Nepal",
        affiliation="student",
        pay=["nothing"],
        work=["dask"],
        own_machines=["laptop"],
        cloud_account="no",
        people=1,
        admin="python",
        purpose="research",
        data_at=["own-disk"],
        data_tb=5,
    )

    near = [one.partner.id for one in advice.near]
    assert near
    assert "planetary-computer-hub" not in near
    assert any(one.has_ended for one in advice.excluded)


def test_data_that_must_stay_in_a_country_stay_on_machines_that_stand_there() -> None:
    answers = {"work": ["dask"], "data_rules": "in-country", "admin": "linux", "pay": ["money"], "cloud_account": "yes"}

    abroad = asked(**answers, country="Kenya", own_machines=["none"])
    at_home = asked(**answers, country="Kenya", own_machines=["kubernetes"])

    assert offered(abroad) == []
    assert "dask-gateway" in {one.partner.id for one in abroad.ask_first}
    assert left_out(asked(**answers, country="Kenya", affiliation="academic", hub="must"), "jetstream2") >= {
        "stays-in-the-country"
    }
    assert first(at_home) <= {"dask-gateway", "daskhub"}


def test_personal_data_may_lie_abroad_where_the_group_itself_holds_what_steers_them() -> None:
    answers = {"work": ["dask"], "admin": "linux", "pay": ["money"], "cloud_account": "yes", "country": "Kenya"}

    assert "dask-gateway" in offered(asked(**answers, data_rules="personal", own_machines=["none"]))


def test_machines_that_are_known_to_stand_in_the_country_keep_its_data_there() -> None:
    answers = {
        "hub": "must",
        "admin": "nobody",
        "affiliation": "academic",
        "work": ["notebooks"],
        "data_rules": "in-country",
    }

    assert "nectar" in offered(asked(**answers, country="Australia"))
    assert "nectar" not in offered(asked(**answers, country="New Zealand"))


def test_a_budget_of_nothing_pays_nothing_whatever_was_said_of_paying() -> None:
    answers = {"work": ["dask"], "country": "Kenya", "people": 5, "admin": "linux", "own_machines": ["none"]}

    assert "nobody-pays" in left_out(asked(**answers, budget_per_month=0), "coiled")
    assert "nobody-pays" in left_out(asked(**answers, budget_per_month=0), "dask-gateway")
    assert "nobody-pays" not in left_out(asked(**answers, budget_per_month=0, pay=["credits"]), "dask-gateway")


def test_a_budget_that_pays_no_machines_is_said_to_pay_none() -> None:
    answers = {"hub": "must", "pay": ["money"], "admin": "kubernetes", "work": ["notebooks"], "country": "Kenya"}

    poor = asked(**answers, budget_per_month=20, people=5)
    assert left_out(poor, "daskhub") == {"hub-over-budget"}
    assert "tljh" in offered(poor)
    assert left_out(asked(**answers, budget_per_month=1, people=300), "tljh") == {"machines-over-budget"}
    assert "daskhub" in offered(asked(**answers, budget_per_month=20, people=5, own_machines=["kubernetes"]))
    assert "daskhub" in offered(asked(**answers, budget_per_month=300, people=5))


def test_what_machines_cost_at_least_is_what_an_estimate_takes_for_granted() -> None:
    taken = open_assumptions().numbers
    tables = tomllib.loads(files("tradewind.advisor").joinpath("rules.toml").read_text())
    sums = {
        rule["id"]: next(part for part in rule["keep"]["any"] if "enough" in part)
        for rule in tables["exclusion"]
        if rule["id"] in {"hub-over-budget", "machines-over-budget"}
    }

    assert sums["hub-over-budget"]["base"] == taken["hub_base"].amount.least
    assert sums["hub-over-budget"]["each"] == pytest.approx(10 * taken["notebook_hour"].amount.least)
    assert sums["machines-over-budget"]["each"] == pytest.approx(10 * taken["core_hour_spot"].amount.least)


@pytest.mark.parametrize(
    ("much", "rule"),
    [
        ({"people_at_once": 2000, "people": 2000}, "too-many-at-once"),
        ({"memory_gb": 512}, "too-small"),
        ({"project_until": "2040-01-01"}, "ends-before-you"),
    ],
)
def test_a_free_offer_is_asked_for_room_memory_and_time_where_nobody_knows(much: dict[str, Any], rule: str) -> None:
    answers = {"hub": "must", "country": "Germany", "affiliation": "academic", "admin": "nobody", "pay": ["nothing"]}

    doubts = {one.partner.id: {reason.rule for reason in one.to_ask} for one in asked(**answers, **much).ranked}
    before = {one.partner.id: {reason.rule for reason in one.to_ask} for one in asked(**answers).ranked}

    assert rule in doubts["egi-notebooks"]
    assert rule not in before["egi-notebooks"]
    own = asked(work=["dask"], own_machines=["hpc"], admin="linux", **much).ranked
    assert all(rule not in {reason.rule for reason in one.to_ask} for one in own if one.partner.kind == "software")
    assert own


def everything_told(advice: Advice) -> str:
    told = told_advice(advice, open_shelf().questionnaire)
    return repr([told[name] for name in ("ranked", "ask_first", "combinations", "excluded", "programmes", "in_use")])


STRICT = [one for one in open_shelf().questionnaire.questions if one.type is not QuestionType.PARTNERS]


@pytest.mark.parametrize("question", STRICT, ids=lambda one: one.id)
def test_every_question_that_is_asked_can_change_the_answer(question: Question) -> None:
    questionnaire, rules = open_shelf().questionnaire, open_shelf().rules
    for _, given, _, _ in CASES:
        said = questionnaire.read(given)
        before = everything_told(advise(questionnaire, rules, said, today=TODAY))
        for other in questionnaire.others(question, said.get(question.id)):
            changed = {**said, question.id: other}
            if rules.check(changed):
                continue
            if everything_told(advise(questionnaire, rules, changed, today=TODAY)) != before:
                return
    pytest.fail(f"{question.id} is asked, and changes nothing")


HOSPITAL: dict[str, Any] = {
    "country": "Germany",
    "work": ["notebooks", "dask"],
    "own_machines": ["hpc", "server"],
    "data_rules": "institution",
    "pay": ["money"],
    "budget_per_month": 2000,
    "admin": "linux",
    "affiliation": "academic",
}


def test_machines_that_stand_there_already_send_no_bill() -> None:
    ranked = asked(**HOSPITAL).ranked
    rented = asked(
        work=["dask"], pay=["money"], budget_per_month=2000, admin="kubernetes", own_machines=["none"]
    ).ranked

    assert ranked
    assert not any("billed as they run" in words for one in ranked for words in one.conditions)
    (gateway,) = [one for one in rented if one.partner.id == "dask-gateway"]
    assert any("billed as they run" in words for words in gateway.conditions)


def test_what_is_known_to_live_on_one_projects_money_is_told_so() -> None:
    told = {
        one.partner.id: one.conditions
        for one in asked(hub="must", country="Germany", affiliation="academic", admin="nobody", pay=["nothing"]).ranked
    }

    assert any("It lives on one project's money" in words for words in told["egi-notebooks"])
    own = asked(work=["dask"], own_machines=["server"], admin="linux").ranked
    (ours,) = [one.conditions for one in own if one.partner.id == "tradewind-hosts"]
    assert any("It isn't known that it lives" in words for words in ours)


def test_credits_for_clouds_dont_pay_for_data_that_must_stay_in_the_institution_or_on_other_clouds() -> None:
    programmes = {one.partner.id for one in asked(**HOSPITAL).programmes}
    azure = {one.partner.id for one in asked(country="US", affiliation="academic", clouds_allowed=["azure"]).programmes}

    assert programmes & {"aws-research-credits", "google-research-credits", "nairr", "access"} == set()
    assert azure & {"aws-research-credits", "google-research-credits"} == set()
    assert "nairr" in azure


def test_another_answer_is_told_with_the_fee_it_brings() -> None:
    advice = asked(hub="must", pay=["credits"], admin="nobody", country="Nepal", people=1)

    fees = {
        partner.id: fee for change in advice.changes for partner, fee in zip(change.first, change.fees, strict=True)
    }
    assert fees["2i2c"] is not None
    assert fees["2i2c"] > 1000
    assert "USD a month at least" in with_fee(open_shelf().directory.find("2i2c"), fees["2i2c"])


def test_a_reason_names_the_facts_that_make_it_so_and_no_others() -> None:
    (one,) = [one for one in asked(work=["dask"], own_machines=["hpc"]).ranked if one.partner.id == "dask-jobqueue"]

    facts = {reason.rule: [fact.field for fact in reason.facts] for reason in one.reasons}
    assert facts["own-machines"] == ["runs_on"]


def test_data_too_big_to_move_are_held_against_what_charges_for_them_or_a_slow_line_alone() -> None:
    answers = {
        "country": "Australia",
        "work": ["notebooks"],
        "main_language": "r",
        "languages": ["r", "python"],
        "affiliation": "academic",
        "admin": "python",
        "data_at": ["own-disk"],
        "data_tb": 60,
        "people": 12,
    }
    free, paid = asked(**answers, pay=["nothing"]), asked(**answers, pay=["money"])

    (nectar,) = [one for one in free.ask_first if one.partner.id == "nectar"]
    (doubt,) = [reason for reason in nectar.to_ask if reason.rule == "data-too-big-to-move"]
    assert doubt.unanswered == ()  # no machines of the group's could settle it: it runs on none of theirs
    assert any("60 TB take 5.6 days over a line of 1 Gbit/s" in words for words in nectar.conditions)
    assert "data-too-big-to-move" in left_out(paid, "2i2c")
    assert "line-too-slow-for-the-data" in left_out(asked(**answers, pay=["nothing"], network="cuts"), "nectar")
    assert left_out(asked(**answers | {"data_tb": 30}, pay=["nothing"]), "nectar") == set()


def test_a_partner_whose_machines_stand_in_several_countries_is_asked_about_the_others() -> None:
    answers = {
        "hub": "must",
        "pay": ["money"],
        "admin": "nobody",
        "data_rules": "in-country",
        "affiliation": "academic",
    }

    assert "2i2c" in offered(asked(**answers, country="US"))
    assert "2i2c" in {one.partner.id for one in asked(**answers, country="Canada").ask_first}
