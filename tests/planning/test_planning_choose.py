from __future__ import annotations

import random
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from planning_values import make_offer

from tradewind.model.environment import Target
from tradewind.model.money import Price
from tradewind.model.offer import Offer, SpotPolicy
from tradewind.model.resources import GIB, Need, Range, Resources
from tradewind.planning.choose import Choice, choose, fill, of_one_platform, room_of

ON_DEMAND, SPOT, FALLBACK = SpotPolicy.ON_DEMAND, SpotPolicy.SPOT, SpotPolicy.SPOT_WITH_FALLBACK
NEED = Need(cpus=Range(minimum=4), memory=Range(minimum=16 * GIB))


def names(
    offers: list[Offer], need: Need = NEED, policy: SpotPolicy = ON_DEMAND, refused: tuple[Offer, ...] = ()
) -> list[str]:
    choices = choose(offers, need, policy, refused)
    return [f"{choice.offer.vm_type}{'*' if choice.offer.spot else ''}" for choice in choices]


@pytest.mark.parametrize(
    ("offers", "need", "policy", "expected"),
    [
        ([make_offer("b", "0.2"), make_offer("a", "0.3"), make_offer("c", "0.1")], NEED, ON_DEMAND, ["c", "b", "a"]),
        (
            [make_offer("b"), make_offer("a", resources=Resources(cpus=64, memory=GIB))],
            NEED,
            ON_DEMAND,
            ["a", "b"],
        ),
        ([make_offer("a", None), make_offer("b", "9"), make_offer("c", "0")], NEED, ON_DEMAND, ["c", "b", "a"]),
        (
            [make_offer("a", None, resources=Resources(cpus=64, memory=GIB)), make_offer("b", None)],
            NEED,
            ON_DEMAND,
            ["b", "a"],
        ),
        ([make_offer("a", "0.1"), make_offer("b", "0.2")], Need(vm_types=("b", "a")), ON_DEMAND, ["b", "a"]),
        ([make_offer("a", "0.1"), make_offer("b", "0.2")], Need(vm_types=("b",)), ON_DEMAND, ["b"]),
        ([make_offer("a", "0.1", spot=True), make_offer("b", "0.2")], NEED, ON_DEMAND, ["b"]),
        ([make_offer("a", "0.1", spot=True), make_offer("b", "0.2")], NEED, SPOT, ["a*"]),
        ([make_offer("a", "0.2", spot=True), make_offer("b", "0.1")], NEED, FALLBACK, ["a*", "b"]),
        ([make_offer("a", None, spot=True), make_offer("b", "0.1")], NEED, FALLBACK, ["a*", "b"]),
        ([make_offer("a"), make_offer("a")], NEED, ON_DEMAND, ["a"]),
        ([], NEED, ON_DEMAND, []),
    ],
    ids=[
        "cheapest first",
        "ties by name",
        "unpriced after priced, free before all",
        "of the unpriced the smallest",
        "the user's order before the price",
        "no type but those that were named",
        "no spot unless asked for",
        "nothing but spot if asked for",
        "spot before on-demand, even where dearer",
        "unpriced spot before on-demand",
        "an offer given twice counts once",
        "nothing of nothing",
    ],
)
def test_offers_are_tried_in_order(offers: list[Offer], need: Need, policy: SpotPolicy, expected: list[str]) -> None:
    assert names(offers, need, policy) == expected


def test_what_was_refused_is_left_out() -> None:
    cheap, dear = make_offer("a", "0.1"), make_offer("b", "0.2")
    assert names([cheap, dear], refused=(cheap,)) == ["b"]


@pytest.mark.parametrize(
    ("offers", "need", "policy", "expected"),
    [
        (
            [make_offer("m5.large", "0.1"), make_offer("m5.xlarge", "0.112"), make_offer("r5", "3")],
            NEED,
            ON_DEMAND,
            "cheapest of 3 that have 4 cores and 16 GiB; m5.xlarge costs 12 % more",
        ),
        (
            [make_offer("a"), make_offer("b", "0.1001")],
            NEED,
            ON_DEMAND,
            "cheapest of 2 that have 4 cores and 16 GiB; b costs less than 1 % more",
        ),
        ([make_offer("a"), make_offer("b")], Need(), ON_DEMAND, "cheapest of 2; b costs the same"),
        ([make_offer("a"), make_offer("a", zone="2")], Need(), ON_DEMAND, "cheapest of 2; a in 2 costs the same"),
        (
            [make_offer("a")],
            Need(cpus=Range(minimum=1, maximum=8), gpus=2, gpu_type="T4"),
            ON_DEMAND,
            "the only one that has 1 to 8 cores and 2 T4 GPUs",
        ),
        ([make_offer("process", "0")], Need(), ON_DEMAND, "the only one there is"),
        (
            [make_offer("a", "0"), make_offer("b", "0.25")],
            Need(),
            ON_DEMAND,
            "free, and the smallest such of 2; b costs 0.25 USD/h",
        ),
        (
            [make_offer("a", None), make_offer("b", None)],
            Need(),
            ON_DEMAND,
            "smallest of 2, and nobody says what it costs",
        ),
        (
            [make_offer("a"), make_offer("b")],
            Need(vm_types=("b", "a")),
            ON_DEMAND,
            "number 1 of the 2 types that were asked for",
        ),
        ([make_offer("a")], Need(vm_types=("a",)), ON_DEMAND, "the type that was asked for"),
        (
            [make_offer("a", "0.032", spot=True), make_offer("a", "0.1")],
            Need(memory=Range(maximum=8 * GIB)),
            FALLBACK,
            "the only one that has at most 8 GiB; spot, 68 % below its on-demand price",
        ),
        ([make_offer("a", None), make_offer("b", "2")], Need(), ON_DEMAND, "cheapest of 2"),
    ],
)
def test_the_first_choice_says_why(offers: list[Offer], need: Need, policy: SpotPolicy, expected: str) -> None:
    assert choose(offers, need, policy)[0].why == expected


def test_the_others_say_how_much_dearer_they_are() -> None:
    offers = [make_offer("a", "0.1"), make_offer("b", "0.15"), make_offer("c", "0.05", spot=True)]
    whys = [choice.why for choice in choose(offers, Need(), FALLBACK)]
    assert whys[1:] == [
        "cheapest of 2; on-demand, for when no spot is to be had; b costs 50 % more",
        "number 2 of 2; on-demand, for when no spot is to be had; 50 % dearer than a",
    ]


def test_two_currencies_are_never_compared() -> None:
    rand = replace(make_offer("b"), price=Price(per_hour=Decimal("0.1"), currency="ZAR"))
    assert [choice.why for choice in choose([make_offer("a"), rand], Need(), ON_DEMAND)] == [
        "cheapest of 2",
        "number 2 of 2",
    ]


def test_the_first_says_how_many_had_no_room() -> None:
    cheap = make_offer("a", "0.1")
    why = choose([cheap, make_offer("b")], Need(), ON_DEMAND, (cheap,))[0].why
    assert why == "the only one there is; 1 other had no room"


offers = st.builds(
    make_offer,
    vm_type=st.sampled_from("abcd"),
    price=st.sampled_from([None, "0", "0.1", "0.25", "3"]),
    spot=st.booleans(),
    zone=st.sampled_from([None, "1", "2"]),
)


@given(given_offers=st.lists(offers, max_size=12), policy=st.sampled_from(SpotPolicy), seed=st.integers(0, 99))
def test_the_order_depends_on_the_offers_alone_and_loses_none(
    given_offers: list[Offer], policy: SpotPolicy, seed: int
) -> None:
    shuffled = random.Random(seed).sample(given_offers, len(given_offers))
    choices = choose(given_offers, Need(), policy)
    assert choices == choose(shuffled, Need(), policy)
    allowed = {o for o in given_offers if policy is FALLBACK or o.spot is (policy is SPOT)}
    assert {choice.offer for choice in choices} == allowed
    assert all(choice.why for choice in choices)


X86, ARM = (Target(platform=f"linux-{machine}") for machine in ("x86_64", "aarch64"))


@pytest.mark.parametrize(
    ("targets", "arm", "left"),
    [
        ([X86, ARM], False, "0"),
        ([X86, ARM], True, "1"),
        ([X86, ARM, None], True, "12"),
        ([ARM, ARM], False, "01"),
        ([X86], True, "0"),
        ([None, None], False, "01"),
        ([], False, ""),
    ],
)
def test_offers_of_one_platform_stay(targets: list[Target | None], arm: bool, left: str) -> None:
    offers = [replace(make_offer(str(n)), target=target) for n, target in enumerate(targets)]

    assert "".join(offer.vm_type for offer in of_one_platform(offers, arm=arm)) == left


def rooms(*known: int | None) -> list[Choice]:
    names_of = "abc"
    return [Choice(offer=make_offer(name, room=room), why="") for name, room in zip(names_of, known, strict=False)]


@pytest.mark.parametrize(
    ("known", "count", "there", "expected"),
    [
        ((None,), 5, "", "aaaaa"),
        ((None, 2), 5, "aaa", "aaaaa"),
        ((3,), 2, "", "aa"),
        ((1, 2), 3, "", "abb"),
        ((1, None), 3, "", "abb"),
        ((1, 2), 3, "ab", "baa"),
        ((2, 2), 2, "bb", "aa"),
        ((1, 1), 4, "", "abaa"),
        ((0, 1), 1, "", "b"),
        ((1, 1), 0, "", ""),
    ],
)
def test_what_the_best_has_no_room_for_is_taken_of_the_next(
    known: tuple[int | None, ...], count: int, there: str, expected: str
) -> None:
    choices = rooms(*known)
    offers = {choice.offer.vm_type: choice.offer for choice in choices}
    taken = fill(choices, count, [offers[name] for name in there])
    assert "".join(choice.offer.vm_type * some for choice, some in taken) == expected


@pytest.mark.parametrize(("known", "room"), [((), None), ((2, 3), 5), ((2, None), None), ((0,), 0)])
def test_room_is_that_of_all_choices_where_all_tell(known: tuple[int | None, ...], room: int | None) -> None:
    assert room_of(rooms(*known)) == room
