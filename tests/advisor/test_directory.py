"""The files of the directory: each fact has all it needs, and a file that lacks something is told what."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from tests.advisor.asking import TODAY, asked, partner
from tradewind.advisor.fact import Confidence
from tradewind.advisor.shelf import open_metered, open_reader, open_shelf
from tradewind.engine.ways import SERVER, names
from tradewind.errors import ConfigError, NotFound

READER = open_reader()
GOOD = """
id = "somewhere"
name = "Somewhere"
kind = "platform"
operator = "Somebody"
what = "A place."
read = 2026-11-23
interest = []

[facts]
status = { value = "active", source = "2I-1" }
fee_per_month = { value = 12.5, source = "2I-1" }
clouds = 1
"""
FILE = GOOD.replace("clouds = 1\n", "")


@pytest.mark.parametrize("file", open_shelf().directory.partners, ids=lambda one: one.id)
def test_every_fact_has_a_source_an_age_and_an_end(file) -> None:  # type: ignore[no-untyped-def]
    for fact in file.facts.values():
        assert fact.source.title
        assert fact.source.url or fact.confidence is Confidence.UNVERIFIED
        assert fact.read_date <= fact.valid_until
        assert fact.interest


def test_the_partners_of_the_discussion_are_in_it() -> None:
    names = {"2i2c", "Coiled", "Planetary Computer", "Nebari", "Earthmover", "Eratos", "Posit", "Tradewind"}
    directory = open_shelf().directory

    for name in names - {"Planetary Computer"}:
        assert directory.find(name)
    assert directory.find("planetary-computer")


def test_no_two_partners_have_one_name() -> None:
    partners = open_shelf().directory.partners
    names = [word.casefold() for one in partners for word in (one.name, *one.also)]

    assert len(set(names)) == len(names)
    assert len({one.id for one in partners}) == len(partners)


def test_tradewind_is_held_to_the_standard_of_the_others() -> None:
    ours = [one for one in open_shelf().directory if one.operator == "Tradewind"]

    assert len(ours) == 4
    assert all(any(remark.against for remark in one.remarks) for one in ours)
    assert all(one.facts["status"].value == "preview" for one in ours)
    for one in ours:  # what is judged of others is judged of us, and not called verified
        assert one.facts["exit"].confidence is Confidence.UNVERIFIED


def test_every_way_to_run_tradewind_is_in_the_directory_and_can_prove_its_use() -> None:
    metered = open_metered()
    covered = {provider for providers in metered.values() for provider in providers if provider != "any"}

    assert covered | {SERVER} == set(names())
    assert {one.id for one in open_shelf().directory if one.operator == "Tradewind"} == set(metered)
    assert set(partner("tradewind-queue").facts["queues"].value) == set(metered["tradewind-queue"])  # type: ignore[arg-type]


@pytest.mark.parametrize("system", ["dask-ssh", "dask-gateway"])
def test_a_group_with_servers_hears_of_others_than_tradewind(system: str) -> None:
    advice = asked(own_machines=["server"], work=["dask"], admin="linux", pay=["nothing"], people=5, country="NP")

    assert system in {one.partner.id for one in advice.ranked}


def test_a_centre_with_another_queue_hears_that_it_is_known() -> None:
    for name in ("tradewind-queue", "dask-jobqueue"):
        assert partner(name).facts["queues"].holds("pbs")
    assert open_shelf().directory.find("tradewind-slurm").id == "tradewind-queue"


def test_a_good_file_has_no_fault() -> None:
    read, faults = READER.examined(FILE, "somewhere.toml")

    assert faults == ()
    assert read is not None
    fact = read.facts["fee_per_month"]
    assert fact.unit == "USD/month"
    assert fact.valid_until == date(2026, 11, 23) + timedelta(days=90)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((', source = "2I-1" }\nfee', " }\nfee"), "status has no source"),
        (('"active", source = "2I-1"', '"active", source = "XX-9"'), "doesn't have"),
        (('"active"', '"alive"'), "one of retired, archived"),
        (("12.5", '"much"'), "a number from 0 up, or a list of steps"),
        (("12.5", "true"), "a number from 0 up, or a list of steps"),
        (("12.5", "[]"), "a number from 0 up, or a list of steps"),
        (("12.5", "[5]"), "step 1 is to be a table"),
        (("12.5", "[{ fixed = 5, heads = 3 }]"), "nobody knows what 'heads' of step 1 means"),
        (("12.5", "[{ up_to = 3 }]"), "step 1 has no fixed sum"),
        (("12.5", "[{ up_to = 0.5, fixed = 5 }]"), "a whole number of people"),
        (("12.5", "[{ up_to = 5, fixed = -5 }]"), "fixed of step 1 is to be a number from 0 up"),
        (("12.5", '[{ up_to = 5, fixed = 5, spot = "no" }]'), "spot of step 1 is to be true or false"),
        (("12.5", "[{ up_to = 5, fixed = 5 }, { up_to = 3, fixed = 9 }]"), "from the smallest group to the biggest"),
        (("12.5", "[{ fixed = 5 }, { up_to = 3, fixed = 9 }]"), "from the smallest group to the biggest"),
        (("12.5", "[{ up_to = 5, fixed = 50 }, { fixed = 9 }]"), "a bigger group would pay less"),
        (("12.5", "-1"), "a number from 0 up"),
        (("12.5,", '12.5, unit = "EUR/month",'), "convert it"),
        (("12.5,", "12.5, colour = 1,"), "nobody knows what 'colour' means"),
        (("fee_per_month", "fee_per_moon"), "no field 'fee_per_moon'"),
        (('id = "somewhere"', 'id = "elsewhere"'), "the same name"),
        (('kind = "platform"', 'kind = "shop"'), "its kind is 'shop'"),
        (("read = 2026-11-23", 'read = "lately"'), "no date"),
        (("read = 2026-11-23", "read = 2020-01-01"), "before its source"),
        (("interest = []", ""), "no 'interest'"),
        (("[facts]", "[facts"), "can't be read"),
        (('status = { value = "active", source = "2I-1" }\n', ""), "nobody says what its status is"),
        (("12.5,", '12.5, confidence = "sure",'), "sure"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(change: tuple[str, str], words: str) -> None:
    assert change[0] in FILE
    faults = READER.examined(FILE.replace(*change, 1), "somewhere.toml")[1]

    assert any(words in fault and fault.startswith("somewhere.toml") for fault in faults), faults
    with pytest.raises(ConfigError):
        READER.partner(FILE.replace(*change, 1), "somewhere.toml")


def test_a_list_says_yes_no_and_nobody_knows() -> None:
    clouds = partner("arraylake").facts["near"]

    assert (clouds.holds("aws"), clouds.holds("azure"), clouds.holds("hpc")) == (True, None, False)


def test_a_fact_that_is_past_its_day_is_stale_and_counts_less() -> None:
    fact = partner("2i2c").facts["fee_per_month"]

    assert not fact.is_stale(TODAY)
    assert fact.is_stale(TODAY + timedelta(days=91))
    assert fact.trust(TODAY + timedelta(days=91)) < fact.trust(TODAY)
    assert "stale" in fact.cited(TODAY + timedelta(days=91))


def test_an_unverified_fact_counts_less_than_one_that_was_read() -> None:
    facts = partner("tljh").facts

    assert facts["hub"].trust(TODAY) < partner("2i2c").facts["hub"].trust(TODAY)


def test_who_mistypes_a_partner_is_told_the_nearest() -> None:
    with pytest.raises(NotFound, match="did you mean 'coiled'"):
        open_shelf().directory.find("coild")
