from decimal import Decimal
from pathlib import Path

import pytest

from tradewind.errors import BadRequest, ConfigError
from tradewind.model.resources import GIB, Need, Range
from tradewind.providers.local.offers import Machine, Rate, offer_for

from .orders import provider

MACHINE = Machine(cpus=8, memory=32 * GIB)


@pytest.mark.parametrize(
    ("need", "cpus", "gib"),
    [
        (Need(), 8, 32),
        (Need(count=4), 2, 8),
        (Need(count=16), 1, 2),
        (Need(count=3), 2, 32 / 3),
        (Need(count=20, least=1), 2, 8),
        (Need(count=20, least=8), 1, 4),
        (Need(count=20, least=1, memory=Range(minimum=20 * GIB)), 2, 20),
        (Need(cpus=Range(minimum=2)), 2, 32),
        (Need(cpus=Range(maximum=2), count=2), 2, 16),
        (Need(cpus=Range(minimum=16)), 16, 32),
        (Need(memory=Range(minimum=5 * GIB), count=2), 4, 5),
        (Need(memory=Range(maximum=3 * GIB)), 8, 3),
    ],
)
def test_what_is_not_asked_is_shared_and_what_is_asked_is_given_exactly(need: Need, cpus: float, gib: float) -> None:
    resources = offer_for(need, MACHINE, None).resources
    assert resources.cpus == cpus
    assert resources.memory == int(gib * GIB)


@pytest.mark.parametrize(
    ("need", "words"),
    [
        (Need(memory=Range(minimum=33 * GIB)), "33 GiB can't be had: this machine has 32 GiB; the most is 32 GiB"),
        (Need(memory=Range(minimum=9 * GIB), count=4), "36 GiB in all.* the most is 8 GiB each for 4"),
        (Need(count=1000), "at most 256 workers"),
        (Need(gpus=1), "GPUs"),
        (Need(vm_types=("m6i.large",)), "m6i.large"),
    ],
)
def test_what_this_machine_can_not_give_is_refused_with_the_most_it_can(need: Need, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        offer_for(need, MACHINE, None)


def test_without_a_rate_it_is_free_and_not_unpriced() -> None:
    price = offer_for(Need(), MACHINE, None).price
    assert price is not None
    assert price.is_free


@pytest.mark.parametrize("count", [1, 2, 4, 8, 16, 64])
@pytest.mark.parametrize("cpus", [None, 1, 2, 4, 16])
def test_all_workers_together_never_cost_more_than_the_machine(count: int, cpus: float | None) -> None:
    rate = Rate(per_hour=Decimal(16), currency="EUR")
    offer = offer_for(Need(count=count, cpus=Range(minimum=cpus)), MACHINE, rate)
    assert offer.price is not None
    assert offer.price.currency == "EUR"
    assert offer.price.per_hour * count <= 16
    assert offer.price.per_hour * count == min(16, 2 * Decimal(offer.resources.cpus) * count)
    assert "16 EUR" in offer.note


def test_a_scheduler_beside_its_workers_is_free() -> None:
    offer = offer_for(Need(beside=True), MACHINE, Rate(per_hour=Decimal(16), currency="EUR"))
    assert offer.price is not None
    assert offer.price.is_free
    assert offer.price.currency == "EUR"


@pytest.mark.parametrize("price", ["dear", -1, "NaN", "Infinity"])
def test_a_rate_that_is_no_amount_is_a_config_error(tmp_path: Path, price: object) -> None:
    with pytest.raises(ConfigError, match="price_per_hour"):
        provider(tmp_path, price_per_hour=price)
