"""``tradewind review``: what people who used a partner say of it, with their interests, and what it answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.text import Text

from tradewind import wire
from tradewind.cli.terminal import json_option, open_console, print_json
from tradewind.client.door import find_place
from tradewind.client.remote.reviews import RemoteReviews
from tradewind.client.remote.signed_in import connection_to
from tradewind.client.tables import QUIET, local_text
from tradewind.errors import BadRequest, SignInNeeded
from tradewind.model.reviews import (
    CRITERIA,
    HIGHEST,
    Interest,
    NewReview,
    PartnerUse,
    Review,
    ReviewDecision,
    ReviewStatus,
    ReviewSummary,
)

DAY = click.DateTime(["%Y-%m-%d"])
STARS = "▁▂▄▆█"
"""How often each of 1 to 5 points was given, as heights."""


@contextmanager
def reviews() -> Iterator[RemoteReviews]:
    """Open the line to the server in use for one command. Raises SignInNeeded where there is none."""
    place = find_place()
    if place.server is None:
        raise SignInNeeded(
            "reviews are kept by a server, and signed; you use none: tradewind login https://tradewind.example"
        )
    connection = connection_to(place.server)
    try:
        yield RemoteReviews(connection)
    finally:
        connection.close()


@click.group()
def review() -> None:
    """What people who used a partner say of it: read, write, decide, answer, export."""


@review.command()
@click.argument("partner")
@click.option(
    "--for",
    "used_for",
    type=click.Choice([use.value for use in PartnerUse]),
    required=True,
    help="What you used it for.",
)
@click.option("--from", "used_from", type=DAY, required=True, help="Since when.")
@click.option("--until", "used_until", type=DAY, help="Until when; left out, you use it still.")
@click.option(
    "--interest",
    type=click.Choice([interest.value for interest in Interest]),
    required=True,
    help='What you have to do with it, beside using it; "none" is an answer too.',
)
@click.option("--interest-note", default="", help="What that interest is, where there is one.")
@click.option(
    "--points",
    multiple=True,
    metavar="WHAT=1..5",
    required=True,
    help=f"Points for one thing; may be given often. There are {', '.join(CRITERIA)}.",
)
@click.option("--text", default="", help="What you want to say beside.")
@click.option("--proof", "proof_of", metavar="WORKSPACE", help="Show how long you used it, as this server metered it.")
@click.option("--proof-with-cost", is_flag=True, help="Show what it cost, too.")
@json_option
def write(
    partner: str,
    used_for: str,
    used_from: datetime,
    used_until: datetime | None,
    interest: str,
    interest_note: str,
    points: tuple[str, ...],
    text: str,
    proof_of: str | None,
    proof_with_cost: bool,
    as_json: bool,
) -> None:
    """Write your review of PARTNER, or another in its place. Others see it once an operator has published it.

    Points go from 1, not at all, to 5, fully.
    """
    said = NewReview(
        used_for=PartnerUse(used_for),
        used_from=used_from.date(),
        used_until=used_until.date() if used_until is not None else None,
        interest=Interest(interest),
        interest_note=interest_note,
        points=_points(points),
        text=text,
        proof_of=proof_of,
        proves_cost=proof_with_cost,
    )
    with reviews() as asked:
        written = asked.write(partner, said)
    if as_json:
        print_json(wire.dump(written))
        return
    click.echo(f"Review {written.id} of {written.partner} waits for an operator to publish it.")


@review.command()
@click.argument("partner")
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
def withdraw(partner: str, yes: bool) -> None:
    """Delete your review of PARTNER."""
    with reviews() as asked:
        if not yes:
            click.confirm(f"Delete your review of {partner}?", abort=True)
        asked.withdraw(partner)
    click.echo(f"Your review of {partner} is deleted.")


@review.command("list")
@click.argument("partner", required=False)
@click.option(
    "--status",
    type=click.Choice([status.value for status in ReviewStatus]),
    help='In this state alone; "pending" is what waits for operators.',
)
@json_option
def list_(partner: str | None, status: str | None, as_json: bool) -> None:
    """List reviews, of PARTNER or all: what is published, and your own; with what they say together."""
    with reviews() as asked:
        found = list(asked.each(partner=partner, status=ReviewStatus(status) if status else None))
        summaries = asked.summaries()
    of = {one.partner for one in found} if partner else {one.partner for one in summaries}
    summaries = [one for one in summaries if one.partner in of]
    if as_json:
        print_json({"reviews": [wire.dump(one) for one in found], "summaries": [wire.dump(one) for one in summaries]})
        return
    console = open_console()
    for summary in summaries:
        _print_summary(console, summary)
    for one in found:
        _print_review(console, one)
    if not found:
        console.print("There are no such reviews yet; `tradewind review write` writes one.")


@review.command()
@click.argument("review_id", metavar="ID", required=False)
@click.option("--publish/--refuse", "publish", default=None, help="What you decide.")
@click.option("--reason", default="", help="Why it is refused; its writer sees it.")
@json_option
def moderate(review_id: str | None, publish: bool | None, reason: str, as_json: bool) -> None:
    """Decide on the review ID, as an operator; without ID, show what waits. Every decision is in the audit log."""
    with reviews() as asked:
        if review_id is None:
            waiting = list(asked.each(status=ReviewStatus.PENDING))
            if as_json:
                print_json([wire.dump(one) for one in waiting])
                return
            console = open_console()
            for one in waiting:
                _print_review(console, one)
            console.print(f"{len(waiting)} wait." if waiting else "Nothing waits for a decision.")
            return
        if publish is None:
            raise BadRequest(f'say what you decide: {review_id} --publish, or --refuse --reason "...".')
        decided = asked.decide(review_id, ReviewDecision(publish=publish, reason=reason))
    if as_json:
        print_json(wire.dump(decided))
        return
    click.echo(f"Review {decided.id} of {decided.partner} is {decided.status.value}.")


@review.command()
@click.argument("review_id", metavar="ID")
@click.argument("text")
@json_option
def answer(review_id: str, text: str, as_json: bool) -> None:
    """Answer the review ID with TEXT, for the partner you speak for."""
    with reviews() as asked:
        answered = asked.answer(review_id, text)
    if as_json:
        print_json(wire.dump(answered))
        return
    click.echo(f"Review {answered.id} of {answered.partner} has your answer.")


@review.command()
@click.argument("partner")
@click.argument("user", required=False)
@click.option("--remove", is_flag=True, help="USER speaks for it no longer.")
@json_option
def speaker(partner: str, user: str | None, remove: bool, as_json: bool) -> None:
    """Show who answers for PARTNER; with USER, let them, as an operator."""
    with reviews() as asked:
        if user is not None:
            if remove:
                asked.dismiss(partner, user)
            else:
                asked.appoint(partner, user)
        known = asked.speakers(partner)
    if as_json:
        print_json([wire.dump(one) for one in known])
        return
    names = ", ".join(one.user for one in known) or "nobody yet"
    click.echo(wire.printable(f"For {partner} answer: {names}."))


@review.command()
@click.option("--format", "form", type=click.Choice(["json", "csv"]), default="json", show_default=True, help="Of it.")
def export(form: str) -> None:
    """Print all reviews you may see, in an open format; JSON has what they say together as well."""
    with reviews() as asked:
        found = list(asked.each())
        summaries = asked.summaries()
    if form == "json":
        print_json({"reviews": [wire.dump(one) for one in found], "summaries": [wire.dump(one) for one in summaries]})
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_columns())
    writer.writerows(_row(one) for one in found)
    click.echo(text.getvalue(), nl=False)


def _points(given: tuple[str, ...]) -> dict[str, int]:
    points: dict[str, int] = {}
    for words in given:
        name, equals, said = words.partition("=")
        if not equals or not said.strip().isascii() or not said.strip().isdecimal():
            raise BadRequest(f"--points {words}: write WHAT=NUMBER, as ease=4; there are {', '.join(CRITERIA)}.")
        points[name.strip()] = int(said)
    return points


def _print_summary(console: Console, summary: ReviewSummary) -> None:
    beside = f", and {summary.interested} with an interest, not counted" if summary.interested else ""
    proved = f", {summary.proved} with a proof of use" if summary.proved else ""
    console.print(Text.assemble((summary.partner, "bold"), f": {summary.reviews} reviews{proved}{beside}"))
    if summary.is_few:
        console.print("  too few to say anything together", style=QUIET)
        return
    for one in summary.criteria:
        most = max(one.counts)
        bars = "".join(STARS[round((len(STARS) - 1) * count / most)] if count else "·" for count in one.counts)
        spread = f"spread {one.spread:.1f}" if one.spread is not None else "one alone"
        console.print(f"  {one.shrunk:.1f} of {HIGHEST}  {bars}  {CRITERIA[one.criterion]} ({one.count}, {spread})")


def _print_review(console: Console, one: Review) -> None:
    said = one.said
    until = f"{said.used_until}" if said.used_until is not None else "now"
    state = "" if one.status is ReviewStatus.PUBLISHED else f" [{one.status.value}]"
    console.print(
        Text.assemble(
            "\n", (one.partner, "bold"), f" by {one.by}, {local_text(one.written_at)}{state}  ", (one.id, QUIET)
        )
    )
    interest = f"{said.interest.value}: {said.interest_note}" if said.interest_note else said.interest.value
    console.print(f"  {said.used_for.value}, {said.used_from} to {until}; interest: {interest}")
    console.print("  " + ", ".join(f"{name} {points} of {HIGHEST}" for name, points in said.points.items()))
    if (proof := one.proof) is not None:
        cost = f", {' + '.join(map(str, proof.cost))}" if proof.cost else ""
        console.print(
            f"  metered here: {proof.instance_hours:g} instance-hours in {proof.clusters} clusters on "
            f"{', '.join(proof.providers)}, {proof.since} to {proof.until}{cost}"
        )
    for line in said.text.splitlines():
        console.print(f"  {line}", soft_wrap=True)
    if one.reason:
        console.print(f"  {one.status.value} by {one.decided_by}: {one.reason}", style=QUIET)
    if (answered := one.answer) is not None:
        console.print(f"  {answered.by} answers for {one.partner}:", style=QUIET)
        for line in answered.text.splitlines():
            console.print(f"    {line}", soft_wrap=True)


def _columns() -> list[str]:
    return [
        *("id", "partner", "by", "written_at", "status", "used_for", "used_from", "used_until", "interest"),
        *("interest_note", *CRITERIA, "text", "metered_instance_hours", "metered_on", "answer"),
    ]


def _row(one: Review) -> list[str]:
    said, proof = one.said, one.proof
    points: Mapping[str, Any] = said.points
    cells = [
        *(one.id, one.partner, one.by, one.written_at.isoformat(), one.status.value, said.used_for.value),
        *(said.used_from.isoformat(), said.used_until.isoformat() if said.used_until else "", said.interest.value),
        *(said.interest_note, *(str(points.get(name, "")) for name in CRITERIA), said.text),
        *(f"{proof.instance_hours:g}" if proof else "", " ".join(proof.providers) if proof else ""),
        one.answer.text if one.answer else "",
    ]
    return [_harmless(cell) for cell in cells]


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: it is other people's text."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell
