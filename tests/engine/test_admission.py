"""What can't be had is said before anything starts, and names the keyword."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.engine.stage import INSTALLATION
from tradewind.engine.admission import admit, honoured
from tradewind.engine.rounds.catalogue import Catalogue
from tradewind.errors import BadRequest
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.instance import Role
from tradewind.model.money import Money
from tradewind.model.offer import SpotPolicy
from tradewind.model.resources import GIB, Need, Range
from tradewind.model.views import DryRun
from tradewind.providers.base import Capabilities, ProviderSettings
from tradewind.providers.fake import FakeProvider, FakeWorld
from tradewind.testing.clock import FakeClock

SPEC = ClusterSpec(name="c", workspace="lab", provider="fake", scaling=Scaling.fixed(2))


def provider(**capabilities: bool) -> FakeProvider:
    made = FakeProvider(ProviderSettings(installation=INSTALLATION, state_directory=""), world=FakeWorld(FakeClock()))
    if capabilities:
        none = {name: False for name in ("spot", "regions", "arm", "gpus", "vm_types", "software")}
        made.capabilities = Capabilities(**{**none, **capabilities})  # type: ignore[misc, arg-type]
    return made


async def admitted(spec: ClusterSpec) -> DryRun:
    made = provider()
    return await admit(spec, made, Catalogue(lambda name: made, FakeClock()))


REFUSED = {
    "spot": (replace(SPEC, spot_policy=SpotPolicy.SPOT), "spot_policy='spot_with_fallback'"),
    "arm": (replace(SPEC, arm=True), "leave out arm=True"),
    "gpus": (replace(SPEC, worker=Need(gpus=1)), "worker_gpu"),
    "vm_types": (replace(SPEC, scheduler=Need(vm_types=("m5.large",))), "has no machine types"),
    "software": (replace(SPEC, software="pangeo"), "software='pangeo' can't be honoured"),
}


@pytest.mark.parametrize("capability", REFUSED)
def test_what_would_change_the_result_is_refused_where_it_can_not_be_honoured(capability: str) -> None:
    spec, words = REFUSED[capability]
    others = {name: True for name in REFUSED if name != capability}
    with pytest.raises(BadRequest) as caught:
        honoured(spec, provider(**others))
    assert words in str(caught.value)
    assert "provider 'fake'" in str(caught.value)
    assert honoured(spec, provider(**{capability: True})) == ()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (replace(SPEC, region="us-west-2"), "region='us-west-2' means nothing"),
        (replace(SPEC, spot_policy=SpotPolicy.SPOT_WITH_FALLBACK), "falls back from the start"),
    ],
)
def test_what_changes_nothing_is_let_pass_with_a_note(spec: ClusterSpec, words: str) -> None:
    (note,) = honoured(spec, provider(gpus=True))
    assert words in note


async def test_a_dry_run_tells_what_would_be_launched_where_and_at_what_price() -> None:
    run = await admitted(replace(SPEC, worker=Need(cpus=Range(minimum=3))))
    assert [(line.role, line.count, line.offer.vm_type) for line in run.instances] == [
        (Role.SCHEDULER, 1, "fake.small"),
        (Role.WORKER, 2, "fake.medium"),
    ]
    assert run.cost_per_hour.money == (Money(amount=Decimal("0.096") + 2 * Decimal("0.192"), currency="USD"),)


async def test_a_cluster_without_workers_is_planned_as_a_scheduler_alone() -> None:
    run = await admitted(replace(SPEC, scaling=Scaling.fixed(0)))
    assert [line.role for line in run.instances] == [Role.SCHEDULER]


@pytest.mark.parametrize(
    ("budget", "worker", "words"),
    [
        ("0.0001", Need(), "doesn't pay for 1 minute of this"),
        ("0", Need(), "nothing is left of the budget"),
        ("100", Need(vm_types=("fake.barter",)), "can't be held on instances without a price"),
    ],
)
async def test_a_budget_that_can_not_be_held_is_refused(budget: str, worker: Need, words: str) -> None:
    limit = Money(amount=Decimal(budget), currency="USD")
    with pytest.raises(BadRequest, match=words):
        await admitted(replace(SPEC, budget=limit, worker=worker))


async def test_a_budget_in_another_currency_is_refused() -> None:
    with pytest.raises(BadRequest, match="give the budget in USD"):
        await admitted(replace(SPEC, budget=Money(amount=Decimal(100), currency="EUR")))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"worker": Need(memory=Range(minimum=9999 * GIB))}, "the most is"),
        ({"region": "fake-nroth"}, "did you mean 'fake-north'"),
        ({"worker": Need(vm_types=("fake.smal",))}, "did you mean 'fake.small'"),
    ],
)
async def test_what_no_size_can_satisfy_is_refused_with_the_most_there_is(
    changes: dict[str, object], words: str
) -> None:
    with pytest.raises(BadRequest, match=words):
        await admitted(replace(SPEC, **changes))  # type: ignore[arg-type]
