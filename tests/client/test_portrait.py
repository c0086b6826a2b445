"""What is shown of a cluster, from values alone: words and figures, HTML, a frame of a terminal."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from html.parser import HTMLParser

import pytest
from rich.console import Console

from tradewind.client.display.html import COLOURS, html, opening
from tradewind.client.display.live import Drawing, cells_of, frame
from tradewind.client.display.live import receipt_table as table_in_terminal
from tradewind.client.display.portrait import (
    portrait,
    price_of,
    receipt_line,
    receipt_rows,
    size,
    span,
    up_line,
)
from tradewind.model.budget import BudgetState
from tradewind.model.cluster import Cluster, ClusterSpec, ClusterStatus, Intent, ScaleMemory, Scaling, StopReason
from tradewind.model.events import Event, Level
from tradewind.model.instance import Contact, Instance, InstanceStatus, Role
from tradewind.model.money import Money, Price
from tradewind.model.offer import Offer
from tradewind.model.resources import GIB, Resources
from tradewind.model.status import StatusPage, WorkerStatus
from tradewind.model.usage import Cost, CostLine, Receipt
from tradewind.model.views import ClusterView

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NASTY = "<img src=x onerror=alert(1)> & 'so' \"on\""


def usd(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="USD")


def instance(number: int, status: InstanceStatus, price: str | None = "0.25", role: Role = Role.WORKER) -> Instance:
    return Instance(
        id=f"{role}-{number}",
        cluster_id="tw-1",
        role=role,
        order_id=f"order-{number}",
        offer=Offer(
            provider="local",
            vm_type="process",
            resources=Resources(cpus=2.0, memory=8 * GIB),
            price=Price(per_hour=Decimal(price)) if price is not None else None,
        ),
        status=status,
        requested_at=NOW - timedelta(minutes=3),
        expires_at=None,
    )


def view(*statuses: InstanceStatus, wanted: int = 4, **changes: object) -> ClusterView:
    """Return a running cluster whose workers have these statuses; ``changes`` are the record's."""
    scaling = Scaling.fixed(wanted)
    cluster = Cluster(
        id="tw-1",
        spec=ClusterSpec(name="anomaly", workspace="ocean", provider="local", scaling=scaling),
        intent=Intent(scaling=scaling),
        owner="ada",
        created_at=NOW - timedelta(minutes=3),
        status=ClusterStatus.RUNNING,
        scale=ScaleMemory(wanted=wanted),
        contact=Contact(
            scheduler="tls://127.0.0.1:1", agent="https://127.0.0.1:2", dashboard="http://127.0.0.1:3/status"
        ),
    )
    return ClusterView(
        cluster=replace(cluster, **changes),  # type: ignore[arg-type]
        instances=(
            instance(0, InstanceStatus.RUNNING, role=Role.SCHEDULER),
            *(instance(n, status) for n, status in enumerate(statuses, start=1)),
        ),
        cost=Cost(money=(usd("0.5"),), instance_seconds=600.0),
        budget=None,
        page=None,
        revision=1,
    )


def page(**values: object) -> StatusPage:
    worker = WorkerStatus(
        name="worker-1",
        address="tls://127.0.0.1:4",
        status="running",
        threads=2,
        memory_limit=8 * GIB,
        memory=GIB,
        spilled=0,
        cpu=90.0,
        processing=3,
    )
    return StatusPage(at=NOW, workers=(worker,), **values)  # type: ignore[arg-type]


def event(message: str, level: Level = Level.INFO) -> Event:
    return Event(at=NOW, cluster_id="tw-1", kind="x.happened", message=message, level=level)


def receipt(money: str | None = "1.24") -> Receipt:
    def cost(amount: str) -> Cost:
        if money is None:
            return Cost(instance_seconds=10.0, free_seconds=10.0)
        return Cost(money=(usd(amount),), instance_seconds=10.0)

    return Receipt(
        cluster_id="tw-1",
        cluster_name="anomaly",
        started_at=NOW,
        stopped_at=NOW + timedelta(minutes=5),
        total=cost(money or "0"),
        by_role=(CostLine(key="scheduler", cost=cost("0.24")), CostLine(key="worker", cost=cost("1.00"))),
        by_computation=(CostLine(key="a", cost=cost("0.5")), CostLine(key="b", cost=cost("0.4"))),
        not_computing=cost("0.34"),
    )


class Text(HTMLParser):
    """The words a browser would show, and the tags it would see."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def __str__(self) -> str:
        return " ".join(" ".join(self.words).split())


RUNNING, STARTING, PENDING, STOPPED = (
    InstanceStatus.RUNNING,
    InstanceStatus.STARTING,
    InstanceStatus.PENDING,
    InstanceStatus.STOPPED,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0 s"),
        (0.9, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3900, "1 h 05 min"),
        (86400, "1 d 0 h"),
        (100000, "1 d 3 h"),
    ],
)
def test_a_duration_is_said_in_its_largest_units(seconds: float, words: str) -> None:
    assert span(timedelta(seconds=seconds)) == words


@pytest.mark.parametrize(
    ("nbytes", "words"),
    [(0, "0 B"), (999, "999 B"), (1023, "0.999 KiB"), (117 * 2**20, "117 MiB"), (25276518400, "23.5 GiB")],
)
def test_bytes_are_said_with_three_digits_at_most(nbytes: int, words: str) -> None:
    assert size(nbytes) == words


@pytest.mark.parametrize(
    ("prices", "words"),
    [
        ([], "–"),
        (["0", "0"], "free"),
        (["0", "0.5"], "0.50 USD/h"),
        (["0.25", "0.25"], "0.50 USD/h"),
        ([None, None], "unpriced"),
        (["0.25", None], "0.25 USD/h + 1 unpriced"),
        (["0", None], "1 unpriced"),
    ],
)
def test_a_price_never_shows_unpriced_as_free(prices: list[str | None], words: str) -> None:
    assert price_of([instance(n, RUNNING, price) for n, price in enumerate(prices)]) == words


def test_workers_are_counted_by_status_the_useful_first() -> None:
    seen = portrait(view(PENDING, RUNNING, STOPPED, RUNNING, STARTING), (), NOW)

    assert seen.workers == ((RUNNING, 2), (STARTING, 1), (PENDING, 1), (STOPPED, 1))
    assert seen.headline == "2 of 4 workers up"


def test_what_ended_is_not_in_the_price() -> None:
    assert portrait(view(RUNNING, STOPPED), (), NOW).price == "0.50 USD/h"


def test_what_a_start_waits_for_is_said() -> None:
    waiting = view(PENDING, status=ClusterStatus.STARTING)
    waiting = replace(
        waiting, instances=tuple(replace(i, detail="queued behind 12 jobs", running_at=None) for i in waiting.instances)
    )

    assert "queued behind 12 jobs" in portrait(waiting, (), NOW).headline


def test_a_cluster_with_all_its_workers_has_nothing_to_explain() -> None:
    assert portrait(view(RUNNING, RUNNING, wanted=2), (), NOW).headline == ""


@pytest.mark.parametrize(
    ("status_page", "said"),
    [
        (page(), []),
        (page(idle_seconds=599.0), []),
        (page(idle_seconds=660.0), ["Idle for 11 min: it stops in 9 min. Any task keeps it."]),
        (
            page(idle_seconds=660.0, held_results=8),
            ["Idle for 11 min: it stops in 9 min, and 8 results in memory will be lost. Any task keeps it."],
        ),
        (page(no_client_seconds=70.0), ["Nobody is connected: it stops in 50 s. Any client keeps it."]),
        (page(idle_seconds=9999.0), ["Idle for 2 h 46 min: it stops in 0 s. Any task keeps it."]),
    ],
)
def test_an_end_is_announced_when_half_the_time_is_over(status_page: StatusPage, said: list[str]) -> None:
    assert list(portrait(replace(view(RUNNING), page=status_page), (), NOW).warnings) == said


def test_an_end_by_age_is_announced_ten_minutes_before() -> None:
    early = view(RUNNING, expires_at=NOW + timedelta(minutes=11))
    late = view(RUNNING, expires_at=NOW + timedelta(minutes=9))

    assert portrait(early, (), NOW).warnings == ()
    assert portrait(late, (), NOW).warnings == ("It reaches its cluster_timeout in 9 min.",)


def test_the_last_steps_of_budgets_are_shown_for_some_hours() -> None:
    steps = [
        replace(event(f"{step} % is spent.", Level.WARNING), at=NOW - timedelta(hours=hours))
        for step, hours in ((10, 13), (20, 9), (50, 8), (80, 7), (100, 1))
    ]
    seen = portrait(view(RUNNING), [steps[0], event("up"), steps[-1]], NOW, steps)

    assert [words.split(", ")[1] for words in seen.warnings] == [f"{step} % is spent." for step in (50, 80, 100)]
    assert seen.journal == (steps[0], event("up")), "nothing is said twice"
    assert portrait(view(RUNNING), (), NOW + timedelta(hours=12), steps).warnings == ()
    assert portrait(view(STOPPED, status=ClusterStatus.STOPPED), (), NOW, steps).warnings == ()
    assert "100 % is spent." in str(Text(html(seen)))


def test_a_cluster_that_is_over_warns_of_nothing() -> None:
    over = replace(view(STOPPED, status=ClusterStatus.STOPPED), page=page(idle_seconds=9999.0))

    assert portrait(over, (), NOW).warnings == ()


def test_only_the_last_lines_of_the_journal_are_shown() -> None:
    seen = portrait(view(RUNNING), [event(f"line {n}") for n in range(9)], NOW)

    assert [e.message for e in seen.journal] == ["line 6", "line 7", "line 8"]


def test_the_page_says_what_a_person_asks_first() -> None:
    budget = BudgetState(limit=usd("2"), spent=usd("0.5"), burn_per_hour=usd("1"))
    shown = replace(view(RUNNING, STARTING, wanted=2), page=page(tasks_running=1234), budget=budget)
    text = str(Text(html(portrait(shown, [event("Running after 0.8 s.")], NOW))))

    for words in (
        "anomaly local up 3 min",
        "running : 1 of 2 workers up",
        "1 running 1 starting",
        "scheduler running",
        "Cost so far 0.50 USD",
        "Price 0.75 USD/h",
        "Threads 2",
        "Memory 1 GiB of 8 GiB",
        "Tasks to do 1,234",
        "1.50 USD of 2.00 USD left",
        "Dashboard http://127.0.0.1:3/status",
        "cluster.get_logs()",
        "Running after 0.8 s.",
    ):
        assert words in text or words.replace(" :", ":") in text, words


def test_tags_are_balanced_and_need_no_style_sheet_or_script() -> None:
    shown = replace(view(RUNNING, PENDING), page=page(idle_seconds=700.0))
    text = Text(html(portrait(shown, [event("so", Level.WARNING)], NOW), receipt()))

    assert text.open == []
    assert not {"style", "script", "link", "img", "iframe"} & set(text.tags)


@pytest.mark.parametrize(
    "source",
    [
        html(portrait(view(RUNNING), [event(NASTY)], NOW)),
        html(
            portrait(
                view(STOPPED, status=ClusterStatus.STOPPED, stop_reason=StopReason.ERROR, stop_detail=NASTY), (), NOW
            )
        ),
        html(
            portrait(
                view(
                    RUNNING,
                    spec=ClusterSpec(name=NASTY, workspace="w", provider=NASTY, region=NASTY, scaling=Scaling.fixed(1)),
                ),
                (),
                NOW,
            )
        ),
        opening(NASTY, NASTY, NASTY),
    ],
    ids=["journal", "reason", "name and place", "opening"],
)
def test_what_comes_from_outside_is_text_and_never_a_tag(source: str) -> None:
    text = Text(source)

    assert "img" not in text.tags
    assert " ".join(NASTY.split()) in str(text)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
def test_an_address_that_is_no_web_page_is_no_link(address: str) -> None:
    contact = Contact(scheduler="tls://127.0.0.1:1", agent="https://127.0.0.1:2", dashboard=address)

    assert "a" not in Text(html(portrait(view(RUNNING, contact=contact), (), NOW))).tags


def test_an_address_cant_leave_its_attribute() -> None:
    contact = Contact(scheduler="tls://h:1", agent="https://h:2", dashboard='http://h/" onclick="alert(1)')

    assert 'onclick="' not in html(portrait(view(RUNNING, contact=contact), (), NOW))


def test_an_end_shows_the_reason_and_the_receipt_and_no_figures_of_the_living() -> None:
    over = view(STOPPED, status=ClusterStatus.STOPPED, stop_reason=StopReason.IDLE, stop_detail="no task ran")
    text = str(Text(html(portrait(over, (), NOW), receipt())))

    assert "stopped : no task ran" in text or "stopped: no task ran" in text
    assert "Total 1.24 USD" in text
    assert "Of it computing 0.90 USD" in text
    assert "Threads" not in text
    assert "Dashboard" not in text


def test_a_failure_looks_different_from_an_end() -> None:
    def border(reason: StopReason) -> str:
        over = view(STOPPED, status=ClusterStatus.STOPPED, stop_reason=reason, stop_detail="x")
        found = re.search(r"border-left:4px solid (#\w+)", html(portrait(over, (), NOW)))
        assert found is not None
        return found[1]

    assert border(StopReason.REJECTED) != border(StopReason.ASKED) == border(StopReason.IDLE)


def test_each_status_has_a_colour_of_its_own() -> None:
    assert set(COLOURS) == set(InstanceStatus)
    assert len(set(COLOURS.values())) == len(COLOURS)


def test_a_page_that_is_left_behind_says_so() -> None:
    assert "stays up" in str(Text(html(portrait(view(RUNNING), (), NOW), left_up=True)))


def test_the_line_of_a_start_counts_what_is_there_of_what_is_wanted() -> None:
    assert up_line("a", 2, 2, 4, 8 * GIB, "free", "http://h/status") == (
        "Cluster a is up: 2 workers, 4 threads, 8 GiB, free, dashboard http://h/status"
    )
    assert up_line("a", 1, 4, 1, 0, "unpriced", "") == "Cluster a is up: 1 of 4 workers, 1 thread, unpriced"


def test_a_receipt_in_one_line_says_how_long_it_ran_and_what_it_cost() -> None:
    assert receipt_line(receipt()) == "Cluster anomaly ended after 5 min: 1.24 USD"
    assert receipt_line(receipt(None)) == "Cluster anomaly ended after 5 min: free"


def test_the_rows_of_a_receipt_add_up() -> None:
    rows = dict(receipt_rows(receipt()))

    assert rows == {
        "scheduler": "0.24 USD",
        "workers": "1.00 USD",
        "total": "1.24 USD",
        "of it computing": "0.90 USD",
        "of it start-up and waiting": "0.34 USD",
    }


def test_a_frame_fits_eighty_columns_and_eight_lines_whatever_is_in_it() -> None:
    budget = BudgetState(limit=usd("2"), spent=usd("1.9"), burn_per_hour=usd("1"))
    shown = replace(view(RUNNING, *[PENDING] * 500, wanted=501), page=page(idle_seconds=700.0), budget=budget)
    text = drawn(frame(portrait(shown, [event("long " * 60)], NOW)))

    assert len(text.splitlines()) <= 9
    assert max(map(len, text.splitlines())) <= 80
    assert "1 of 501 workers up" in text


def test_a_name_in_a_terminal_is_text_and_no_markup() -> None:
    shown = view(RUNNING, spec=ClusterSpec(name="[red]x", workspace="w", provider="p", scaling=Scaling.fixed(1)))

    assert "[red]x" in drawn(frame(portrait(shown, [event("[bold]so")], NOW)))
    assert "[bold]so" in drawn(frame(portrait(shown, [event("[bold]so")], NOW)))


@pytest.mark.parametrize("counts", [(1,), (1, 1), (1, 1000), (3, 3, 3), (1, 1, 1, 500)])
def test_a_bar_is_full_and_forgets_nobody(counts: tuple[int, ...]) -> None:
    statuses = [RUNNING, STARTING, PENDING, InstanceStatus.REQUESTED]
    cells = cells_of(tuple(zip(statuses, counts, strict=False)), 40)

    assert sum(n for _, n in cells) == 40
    assert all(n >= 1 for _, n in cells)


def test_a_terminal_that_has_no_colours_gets_a_receipt_without_escapes() -> None:
    text = table_in_terminal(receipt(), io.StringIO())

    assert "\x1b" not in text
    assert "1.24 USD" in text


def drawn(what: object) -> str:
    console = Console(file=io.StringIO(), width=80)
    with console.capture() as capture:
        console.print(what)
    return capture.get()


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_who_waits_for_a_record_reads_what_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Screen()
    with Drawing(stream) as drawing:
        drawing.draw("mine", None)
        drawing.draw("mine", None, "Looking for your 60 packages.")
    assert "Cluster mine: asking  0 s" in stream.getvalue()
    assert "Cluster mine: Looking for your 60 packages  0 s" in stream.getvalue()
