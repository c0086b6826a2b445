"""One round after the other on a world where things go wrong: one test for each named fault."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.engine.stage import Stage, bury, is_running, is_stopped
from tradewind.engine.rounds import leases, rounds
from tradewind.engine.rounds.rounds import LEASE, Rounds
from tradewind.model.cluster import ClusterStatus, Lifetimes, Scaling, StopReason
from tradewind.model.instance import InstanceEnd, Role
from tradewind.planning.reconcile import RETIRING
from tradewind.providers.fake import faults as f

MARGIN = timedelta(seconds=1)


async def end(stage: Stage, engine: Rounds) -> None:
    """Stop the cluster, and see that nothing is left and the bill is the infrastructure's own."""
    await stage.stop()
    await stage.go(engine, is_stopped)
    assert stage.world.alive() == ()
    assert await stage.bill() == stage.truth()
    assert await stage.store.secrets("c1") is None


async def test_a_cluster_comes_up_and_goes_down_and_its_bill_is_the_infrastructures_own(stage: Stage) -> None:
    await stage.create()
    engine = stage.engine()
    cluster = await stage.up(engine)
    assert cluster.contact == stage.machines(role=Role.SCHEDULER)[0].contact
    assert len(stage.machines()) == 2
    stage.clock.advance(60)
    await end(stage, engine)
    kinds = [event.kind for _, event in await stage.store.events("c1")]
    assert kinds == ["instances.ordered", "cluster.started", "cluster.stopping", "cluster.stopped"]


@pytest.mark.parametrize(
    "fault", [f.DiesBetweenLaunchAndHandle(), f.DiesAfterHandle(), f.DiesBefore(verbs=frozenset({"launch"}))]
)
@pytest.mark.parametrize("role", [Role.SCHEDULER, Role.WORKER])
async def test_who_takes_over_from_one_that_died_in_a_launch_launches_nothing_twice(
    stage: Stage, fault: f.Fault, role: Role
) -> None:
    await stage.create()
    stage.world.arm(replace(fault, role=role) if isinstance(fault, f.OrderFault) else fault)
    with pytest.raises(f.ProcessKilled):
        await stage.engine("A").round("c1")
    await bury()
    assert await stage.engine("B").round("c1") is None, "the lease of the dead still holds"

    stage.clock.advance(LEASE)
    heir = stage.engine("B")
    await stage.up(heir)
    assert len(stage.world.machines) == 3
    await end(stage, heir)


@pytest.mark.parametrize("role", [Role.SCHEDULER, Role.WORKER])
async def test_a_launch_whose_answer_was_lost_is_found_and_not_repeated(stage: Stage, role: Role) -> None:
    await stage.create()
    stage.world.arm(f.LosesAnswerOfLaunch(role=role))
    engine = stage.engine()
    await stage.up(engine)
    assert len(stage.world.machines) == 3
    await end(stage, engine)


async def test_who_is_refused_by_a_full_region_takes_the_next_offer(stage: Stage) -> None:
    await stage.create()
    stage.world.arm(f.SaysNoCapacity(role=Role.WORKER, vm_type="fake.small", times=None))
    engine = stage.engine()
    await stage.up(engine)
    assert {m.offer.vm_type for m in stage.machines()} == {"fake.medium"}
    await end(stage, engine)


async def test_a_cluster_whose_scheduler_finds_room_nowhere_stops(stage: Stage) -> None:
    await stage.create()
    stage.world.arm(f.SaysNoCapacity(times=None))
    cluster = await stage.go(stage.engine(), is_stopped)
    assert cluster.stop_reason is StopReason.NO_CAPACITY
    assert (stage.truth(), await stage.bill()) == ((), ())


async def test_a_refusal_stops_the_cluster_in_the_infrastructures_words(stage: Stage) -> None:
    await stage.create()
    stage.world.arm(f.Rejects(role=Role.WORKER, times=None))
    cluster = await stage.go(stage.engine(), is_stopped)
    assert cluster.stop_reason is StopReason.REJECTED
    assert "your account may not launch this" in cluster.stop_detail
    assert await stage.bill() == stage.truth()


async def test_refusals_while_workers_run_do_not_pile_up_rows(stage: Stage) -> None:
    await stage.create()
    engine = stage.engine()
    await stage.up(engine)
    stage.world.arm(f.Rejects(times=None))
    await stage.scale(Scaling.fixed(3))
    for _ in range(30):
        await engine.round("c1")
        stage.clock.advance(1)
    refused = [i for i in await stage.store.instances("c1") if i.end is InstanceEnd.REJECTED]
    offers = await stage.provider.offers((await stage.store.get_cluster("c1")).spec.worker)
    assert len(refused) == len(offers), "each offer is tried once in a while"
    await end(stage, engine)


@pytest.mark.parametrize("verb", ["offers", "launch", "observe", "terminate"])
async def test_an_infrastructure_that_is_away_for_a_time_holds_a_cluster_up_and_no_more(
    stage: Stage, verb: str
) -> None:
    await stage.create()
    fault = f.DoesNotAnswer(verbs=frozenset({verb}), times=None)
    stage.world.arm(fault)
    engine = stage.engine()
    for _ in range(3):
        assert await engine.round("c1") is not None
        stage.clock.advance(1)
    stage.world.disarm(fault)
    stage.clock.advance(10)
    await stage.up(engine)
    assert len(stage.world.machines) == 3
    await end(stage, engine)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let leases be so short that a test can wait for the end of one: it is a matter of the real clock."""
    for module in (rounds, leases):
        monkeypatch.setattr(module, "LEASE", timedelta(seconds=0.2))
        monkeypatch.setattr(module, "RENEWED", timedelta(seconds=0.1))


@pytest.mark.usefixtures("short")
async def test_a_launch_that_outlasts_its_lease_is_told_once_and_asked_for_again(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    await stage.create()
    engine = stage.engine()
    stage.world.arm(f.NeverAnswers(verbs=frozenset({"launch"}), times=9))  # three orders in three rounds

    for _ in range(3):
        assert await engine.round("c1") is None
        stage.clock.advance(1)
    assert stage.world.alive() == ()

    told = [event for _, event in await stage.store.events("c1") if event.kind == "round.too_long"]
    assert [event.message.partition(" took")[0] for event in told] == ["Launching on fake"]
    assert caplog.text.count("the lease ran out while launching on fake") == 3
    await stage.up(engine)
    assert len(stage.world.machines) == 3


@pytest.mark.usefixtures("short")
async def test_who_has_taken_over_meanwhile_is_told_nothing_by_who_ran_out(stage: Stage) -> None:
    await stage.create()
    late, heir = stage.engine("A"), stage.engine("B")
    stage.world.arm(f.NeverAnswers(verbs=frozenset({"launch"}), times=1))

    going = asyncio.create_task(late.round("c1"))
    while not any(call.verb == "launch" for call in stage.world.calls):  # noqa: ASYNC110 - the fake world calls nobody
        await asyncio.sleep(0)
    stage.clock.advance(1)
    await heir.round("c1")
    before = await stage.store.events("c1")

    assert await going is None
    assert await stage.store.events("c1") == before


@pytest.mark.parametrize("verb", ["offers", "launch"])
async def test_a_cluster_can_be_stopped_while_its_provider_can_not_launch(stage: Stage, verb: str) -> None:
    await stage.create(scaling=Scaling.fixed(1))
    engine = stage.engine()
    await stage.up(engine)
    stage.world.arm(f.DoesNotAnswer(verbs=frozenset({verb}), times=None))
    await stage.scale(Scaling.fixed(2))
    stage.clock.advance(timedelta(minutes=2))
    await engine.round("c1")
    await end(stage, engine)


async def test_a_page_is_pulled_though_no_offers_can_be_had(stage: Stage) -> None:
    await stage.create()
    engine = stage.engine()
    await stage.up(engine)
    stage.world.arm(f.DoesNotAnswer(verbs=frozenset({"offers"}), times=None))
    stage.clock.advance(timedelta(minutes=5))
    assert await engine.round("c1") is not None
    assert list(stage.world.agents.last_pull.values()) == [stage.clock.now()]


async def test_a_throttled_infrastructure_gets_its_calls_later(stage: Stage) -> None:
    await stage.create(scaling=Scaling.fixed(4))
    stage.world.arm(f.Throttles(verbs=frozenset({"launch"}), calls=2, per=timedelta(seconds=2)))
    engine = stage.engine()
    await stage.up(engine)
    assert len(stage.world.machines) == 5
    await end(stage, engine)


async def test_a_list_that_is_later_than_promised_leads_to_a_replacement_and_an_end_of_what_turns_up(
    stage: Stage,
) -> None:
    await stage.create()
    stage.world.arm(f.ListsLate(role=Role.WORKER, by=timedelta(seconds=20)))
    engine = stage.engine()
    await stage.up(engine)
    stage.clock.advance(20)
    await engine.round("c1")
    stage.clock.advance(5)
    assert len(stage.machines()) == 2
    await stage.stop()
    await stage.go(engine, is_stopped)
    assert stage.world.alive() == ()


async def test_a_list_that_lags_as_promised_leads_to_nothing(stage: Stage) -> None:
    stage.world.timing = replace(stage.world.timing, list_lag=timedelta(seconds=20))
    stage.provider.capabilities = replace(stage.provider.capabilities, list_lag=timedelta(seconds=20))  # type: ignore[misc]
    await stage.create()
    engine = stage.engine()
    await stage.up(engine)
    assert len(stage.world.machines) == 3
    await end(stage, engine)


async def test_a_list_that_lags_after_a_second_order_is_waited_for_as_well(stage: Stage) -> None:
    """The order was first given in vain, and again when its row was older than the list may lag."""
    lag = timedelta(seconds=5)
    stage.world.timing = replace(stage.world.timing, list_lag=lag)
    stage.provider.capabilities = replace(stage.provider.capabilities, list_lag=lag)  # type: ignore[misc]
    stage.world.arm(f.DoesNotAnswer(verbs=frozenset({"launch"}), times=3, retry_after=timedelta(seconds=30)))
    await stage.create()
    engine = stage.engine()
    await stage.up(engine)
    assert len(stage.world.machines) == 3
    await end(stage, engine)


async def test_a_list_that_shows_everything_twice_changes_nothing(stage: Stage) -> None:
    await stage.create()
    stage.world.arm(f.ListsTwice())
    engine = stage.engine()
    await stage.up(engine)
    assert len(stage.world.alive()) == 3
    await end(stage, engine)


@pytest.mark.parametrize("fault", [f.LosesAnswerOfTerminate(), f.IgnoresTerminate(times=3)])
async def test_an_end_that_was_asked_for_in_vain_is_asked_for_again(stage: Stage, fault: f.Fault) -> None:
    await stage.create()
    engine = stage.engine()
    await stage.up(engine)
    stage.world.arm(fault)
    await end(stage, engine)


async def test_a_stray_that_can_not_be_ended_keeps_its_cluster_from_stopping(stage: Stage) -> None:
    await stage.create()
    engine = stage.engine()
    await stage.up(engine)
    stage.world.arm(f.ListsLate(role=Role.WORKER, by=timedelta(seconds=6)))
    await stage.scale(Scaling.fixed(3))
    await engine.round("c1")  # launched, and not listed
    stage.clock.advance(1)
    await engine.round("c1")  # believed to have vanished
    stage.world.arm(f.IgnoresTerminate(times=6))
    await stage.stop()
    await stage.go(engine, is_stopped)
    assert stage.world.alive() == ()


@pytest.mark.parametrize("role", list(Role))
async def test_one_that_dies_is_billed_to_its_end(stage: Stage, role: Role) -> None:
    await stage.create()
    engine = stage.engine()
    await stage.up(engine)
    victim = stage.machines(role=role)[0].marks.instance
    stage.world.arm(f.InstanceDies(instance=victim, after=timedelta(microseconds=123_457)))
    stage.clock.advance(3)
    await engine.round("c1")
    cluster = await stage.store.get_cluster("c1")
    if role is Role.SCHEDULER:
        assert cluster.stop_reason is StopReason.LOST
    else:
        assert cluster.status is ClusterStatus.RUNNING
        await stage.up(engine)
        assert len(stage.machines()) == 2
    await end(stage, engine)


async def test_one_that_vanishes_is_billed_to_its_last_sighting(stage: Stage) -> None:
    await stage.create()
    engine = stage.engine()
    await stage.up(engine)
    await engine.round("c1")
    seen = stage.clock.now()
    victim = stage.machines()[0].marks.instance
    stage.world.arm(f.InstanceVanishes(instance=victim, after=timedelta(seconds=1)))
    stage.clock.advance(4)
    await engine.round("c1")
    ours, truth = ({line[0]: line for line in lines}[victim] for lines in (await stage.bill(), stage.truth()))
    assert ours[1] == truth[1]
    assert ours[2] is not None
    assert truth[2] is not None
    assert seen - timedelta(seconds=5) <= ours[2] <= truth[2]


async def test_a_worker_that_never_comes_up_is_replaced(stage: Stage) -> None:
    await stage.create(lifetimes=Lifetimes(idle=None, no_client=None, start=timedelta(minutes=3)))
    stage.world.arm(f.NeverComesUp(role=Role.WORKER))
    engine = stage.engine()
    await stage.go(engine, is_running)
    cluster = await stage.go(engine, lambda c: c.failed_launches > 0, step=timedelta(seconds=20))
    assert cluster.status is ClusterStatus.RUNNING
    await stage.up(engine)
    assert len(stage.machines()) == 2
    await end(stage, engine)


@pytest.mark.parametrize("fault", [f.NeverComesUp(role=Role.SCHEDULER), f.StaysPending(role=Role.SCHEDULER)])
async def test_a_scheduler_that_never_comes_up_ends_the_cluster_and_what_waits_is_not_billed(
    stage: Stage, fault: f.Fault
) -> None:
    await stage.create(lifetimes=Lifetimes(start=timedelta(minutes=2)))
    stage.world.arm(fault)
    cluster = await stage.go(stage.engine(), is_stopped, step=timedelta(seconds=10))
    assert cluster.stop_reason in {StopReason.START_TIMEOUT, StopReason.ERROR}
    assert await stage.bill() == stage.truth()


async def test_what_waits_in_a_queue_and_can_not_be_ended_is_not_billed(stage: Stage) -> None:
    await stage.create(scaling=Scaling.fixed(1))
    stage.world.arm(f.StaysPending(role=Role.WORKER))
    engine = stage.engine()
    await stage.go(engine, is_running)
    stage.world.arm(f.IgnoresTerminate(times=3))
    await end(stage, engine)


async def test_an_agent_that_is_deaf_for_a_moment_costs_no_worker(stage: Stage) -> None:
    await stage.create()
    engine = stage.engine()
    await stage.up(engine)
    stage.world.arm(f.AgentIsDeaf(times=3))
    await stage.scale(Scaling.fixed(1))
    for _ in range(3):
        await engine.round("c1")
        stage.clock.advance(1)
        assert len(stage.machines()) == 2
    await engine.round("c1")
    stage.clock.advance(2)
    assert len(stage.machines()) == 1
    assert [told.verb for told in stage.world.agents.told] == ["retire"]
    await end(stage, engine)


async def test_an_agent_that_stays_deaf_ends_the_cluster_as_lost(stage: Stage) -> None:
    await stage.create()
    engine = stage.engine()
    await stage.up(engine)
    stage.world.arm(f.AgentIsDeaf(times=None))
    cluster = await stage.go(engine, is_stopped, most=100, step=timedelta(seconds=5))
    assert (cluster.stop_reason, cluster.stop_detail) == (StopReason.LOST, "its scheduler hasn't answered for 0:05:00")
    assert stage.world.alive() == ()


async def test_workers_that_cling_are_ended_after_a_time_and_no_others(stage: Stage) -> None:
    await stage.create(scaling=Scaling.fixed(3))
    engine = stage.engine()
    await stage.up(engine)
    stage.world.arm(f.WorkersCling(times=None))
    await stage.scale(Scaling.fixed(2))
    began = stage.clock.now()
    while stage.clock.now() < began + RETIRING - MARGIN:
        await engine.round("c1")
        stage.clock.advance(5)
        assert len([i for i in await stage.live(role=Role.WORKER) if not i.wanted]) == 1
    for _ in range(4):
        await engine.round("c1")
        stage.clock.advance(1)
    assert len(stage.machines()) == 2
    await end(stage, engine)


async def test_a_laptop_that_slept_for_an_hour_finds_its_cluster_ended_and_billed_to_the_end_it_had(
    stage: Stage,
) -> None:
    await stage.create()
    engine = stage.engine()
    await stage.up(engine)
    stage.clock.advance(timedelta(minutes=40))
    cluster = await stage.go(engine, is_stopped)
    assert cluster.stop_reason is StopReason.LOST
    assert await stage.bill() == stage.truth()
