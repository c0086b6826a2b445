"""``tradewind advise``: which infrastructure fits a group, this one or somebody else's, and why."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from tradewind.advisor.bench import turns
from tradewind.advisor.judge import Reason, cut
from tradewind.advisor.link import Shared, write_link
from tradewind.advisor.match import Advice, advise
from tradewind.advisor.questions import Question, Questionnaire, QuestionType
from tradewind.advisor.recommendation import Recommendation, Together
from tradewind.advisor.shelf import Shelf, open_shelf, read_toml
from tradewind.advisor.told import interests, named, told_advice, with_fee
from tradewind.cli.partner import at_option, day
from tradewind.cli.terminal import json_option, open_console, print_json
from tradewind.errors import BadRequest

SHOWN = 3
MOST_REASONS = 6
MOST_AGAINST = 2
"""Of each of two that stand together."""
MOST_ASKED = 5
MOST_CHANGES = 12
QUIET = "bright_black"


@click.command("advise")
@click.option(
    "--answers",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A TOML file of answers, and of weights you moved; --questions prints one to fill in.",
)
@click.option("--set", "sets", multiple=True, metavar="QUESTION=ANSWER", help="One answer; may be given often.")
@click.option("--weight", "weights", multiple=True, metavar="PREFERENCE=0..10", help="Move the weight of a preference.")
@click.option("--questions", is_flag=True, help="Print all questions as a file of answers to fill in.")
@click.option("--all", "everything", is_flag=True, help="Show every partner: those that fit, and why the others don't.")
@click.option("--page", is_flag=True, help="Ask and answer as a page in your browser, on this machine alone.")
@at_option
@json_option
def advise_(
    file: Path | None,
    sets: tuple[str, ...],
    weights: tuple[str, ...],
    questions: bool,
    everything: bool,
    page: bool,
    at: datetime | None,
    as_json: bool,
) -> None:
    """Find which infrastructure fits your group: hosted or your own, free or paid, Tradewind or not.

    Asks in the terminal what it needs to know; "don't know" is always an answer. Every reason names its facts,
    their source and age.
    """
    shelf = open_shelf()
    if questions:
        click.echo(_form(shelf.questionnaire), nl=False)
        return
    given, moved = _given(file, sets, weights, shelf.questionnaire)
    if page:
        # A page is for who wants one: templates and a server take time that no other command should pay.
        shared = Shared(
            day=day(None), answers=shelf.questionnaire.read(given, today=day(None)), weights=shelf.rules.moved(moved)
        )
        link = f"?a={write_link(shared)}" if given or moved else ""
        importlib.import_module("tradewind.cli.page").show_pages(f"/advise{'/answer' if link else ''}{link}")
        return
    console = open_console()
    today = day(at)
    if file is None and not sets:
        if not sys.stdin.isatty():
            raise BadRequest("there is nobody to ask here; give --answers FILE, which --questions prints to fill in.")
        given = _asked(console, shelf, today)
    answers = shelf.questionnaire.read(given, today=today)
    advice = advise(shelf.questionnaire, shelf.rules, answers, today=today, weights=shelf.rules.moved(moved))
    if as_json:
        print_json(told_advice(advice, shelf.questionnaire))
    else:
        _print(console, advice, shelf, everything=everything)


def _given(
    file: Path | None, sets: Iterable[str], weights: Iterable[str], questionnaire: Questionnaire
) -> tuple[dict[str, Any], dict[str, float]]:
    """Return answers and weights of a file and the command line; the command line has the last word."""
    given: dict[str, Any] = read_toml(file) if file else {}
    moved = given.pop("weights", {})
    if not isinstance(moved, dict):
        raise BadRequest(f"{file}: `weights` is a table, as in [weights] with low-fee = 5 under it.")
    moved = {name: _plain_number(weight) for name, weight in moved.items()}
    for words in sets:
        name, equals, said = words.partition("=")
        if not equals:
            raise BadRequest(f"--set {words}: write QUESTION=ANSWER, as hub=must; several answers with commas.")
        given[name.strip()] = _split(said, questionnaire.find(name.strip()))
    for words in weights:
        name, _, said = words.partition("=")
        try:
            moved[name.strip()] = float(said)
        except ValueError:
            raise BadRequest(f"--weight {words}: write PREFERENCE=NUMBER, as low-fee=5.") from None
    return given, moved


def _plain_number(weight: Any) -> Any:
    """Return a number as weights are; what is none as it is, for a message that names it."""
    return float(weight) if isinstance(weight, Decimal) else weight


def _split(said: str, question: Question) -> Any:
    # A number may have commas of its own.
    words = [said] if question.type is QuestionType.NUMBER else [word.strip() for word in said.split(",")]
    return words if len(words) > 1 else words[0]


# ---------------------------------------------------------------------------------------------- asking


def _asked(console: Console, shelf: Shelf, today: date) -> dict[str, Any]:
    """Ask in the terminal: the first part of all, then, on wish, what else could change the answer."""
    given: dict[str, Any] = {}

    def ask(question: Question) -> None:
        given[question.id] = _ask(console, shelf.questionnaire, question, today)
        # Said while one remembers what one meant, and not after the last question.
        while found := shelf.rules.contradicted(shelf.questionnaire.read(given)):
            again = [shelf.questionnaire.find(name) for name in found[0].of]
            names = " and ".join(one.id for one in again)
            console.print(f"\nThis can't be so: {found[0].says} ({names}). Once more, please.", style="red")
            for one in again:
                given[one.id] = _ask(console, shelf.questionnaire, one, today, before=given.get(one.id))

    console.print('Enter leaves a question open ("don\'t know"). Several answers with commas. Ctrl-C stops.\n')
    first = [question for question in shelf.questionnaire.questions if question.part == 1]
    for question in first:
        ask(question)
    advice = advise(shelf.questionnaire, shelf.rules, shelf.questionnaire.read(given), today=today)
    matters = {change.question.id: change.question for change in advice.changes}
    open_ones = [question for question in matters.values() if given.get(question.id) is None and question not in first]
    if open_ones and click.confirm(
        f"\nWhat comes first could still change by {len(open_ones)} more of your answers. Give them?", default=True
    ):
        for question in open_ones:
            ask(question)
    return given


def _ask(console: Console, questionnaire: Questionnaire, question: Question, today: date, *, before: Any = None) -> Any:
    console.print(Text(f"\n{question.asks}", style="bold"))
    console.print(question.why, style=QUIET)
    if (answer := questionnaire.answer(question, before)) is not None:
        console.print(Text(f"You said: {questionnaire.shown(question, answer)}", style=QUIET))
    options = question.options
    if question.type is QuestionType.TIES:
        options = {tie: tie.replace("-", " ") for tie in questionnaire.ties()}
    for number, text in enumerate(options.values(), start=1):
        console.print(f"  {number}  {text}")
    while True:
        said = click.prompt(">", default="", show_default=False, prompt_suffix=" ")
        try:
            words = _split(said, question)
            answer = [_chosen(word, list(options)) for word in ([words] if isinstance(words, str) else words)]
            questionnaire.answer(question, answer if len(answer) > 1 else answer[0], today=today)
        except BadRequest as error:
            console.print(str(error), style="red")
        else:
            return answer if len(answer) > 1 else answer[0]


def _chosen(word: str, options: list[str]) -> str:
    """Return the option of a number, or what was typed."""
    word = word.strip()
    if options and word.isdigit() and 1 <= int(word) <= len(options):
        return options[int(word) - 1]
    return word


def _form(questionnaire: Questionnaire) -> str:
    """Return all questions as a file of answers to fill in."""
    lines = [
        "# Answers for `tradewind advise --answers FILE`. Leave out a line, or write \"don't know\", where you don't."
    ]
    for question in questionnaire.questions:
        lines += ["", f"# {question.asks}", f"# ({question.why})"]
        options = question.options or {}
        if question.type is QuestionType.TIES:
            options = {tie: "" for tie in questionnaire.ties()}
        lines += [f"#   {option}{f': {text}' if text else ''}" for option, text in options.items()]
        several = question.type in {QuestionType.CHOICES, QuestionType.TIES, QuestionType.PARTNERS}
        example = {QuestionType.NUMBER: "100", QuestionType.DATE: "2029-12-31", QuestionType.COUNTRY: '"Kenya"'}.get(
            question.type, json.dumps(next(iter(options), "..."))
        )
        lines.append(f"# {question.id} = {f'[{example}]' if several else example}")
    lines += ["", "# Weights of preferences that you move, from 0 to 10.", "# [weights]", "# low-fee = 5"]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------------------- telling


def _print(console: Console, advice: Advice, shelf: Shelf, *, everything: bool) -> None:
    for used in advice.in_use:
        if used.status is not None and used.status.value != "active":
            console.print(
                Text(
                    f"You use {used.partner.name}: {used.status.shown} [{used.status.cited(advice.today)}].", "bold red"
                )
            )
            if used.move_to is not None:
                console.print(f"  {used.move_to.shown} [{used.move_to.cited(advice.today)}]", soft_wrap=True)
            console.print()
    if advice.needs:
        console.print(f"You need: {', '.join(advice.needs)}.\n")
    if not advice.ranked:
        _nothing_alone(console, advice)
    shown = advice.ranked if everything else cut(advice.ranked, SHOWN, _rank)
    for one in shown:
        _print_one(console, one, advice.today)
    if others := advice.ranked[len(shown) :]:
        names = ", ".join(f"{one.rank}. {one.partner.name}" for one in others)
        console.print(f"Also, in this order: {names}.\n", soft_wrap=True)
    for both in advice.pairs:
        _print_both(console, both, advice.today)
    if advice.ask_first:
        console.print(Text("Worth a mail before you decide", style="bold"))
        asked = advice.ask_first if everything else cut(advice.ask_first, MOST_ASKED, _rank)
        for one in asked:
            console.print(f"  {one.partner.name}: is it so? {'; '.join(map(_doubt, one.to_ask))}", soft_wrap=True)
        if rest := len(advice.ask_first) - len(asked):
            console.print(f"  and {rest} more, of which more isn't known; --all names them", style=QUIET)
        console.print()
    _print_changes(console, advice, shelf.questionnaire)
    _print_excluded(console, advice, everything=everything)
    if advice.programmes:
        console.print(Text("Who could pay", style="bold"))
        for one in advice.programmes:
            how = one.partner.facts.get("apply")
            doubt = f" (ask: {', '.join(reason.rule for reason in one.to_ask)})" if one.to_ask else ""
            console.print(f"  {one.partner.name}{doubt}: {how.shown if how else one.partner.what}", soft_wrap=True)
        console.print()
    weights = ", ".join(f"{name}={weight:g}" for name, weight in advice.weights.items())
    console.print(f"Weights (move them with --weight): {weights}", style=QUIET, soft_wrap=True)
    console.print(
        "Free offers stand first unless you answer prefer_free=no; equal ones share a rank and stand by name. The"
        " directory is kept by people who work on Tradewind, one of its partners; no rule names a partner.",
        style=QUIET,
        soft_wrap=True,
    )


def _nothing_alone(console: Console, advice: Advice) -> None:
    if advice.pairs:
        console.print(Text("No single offer does all of it; two together do.\n", style="bold"))
        return
    console.print(Text("No honest offer found.", style="bold red"))
    for one in advice.near:
        console.print(f"  Nearest: {one.partner.name}, if not for one thing. {one.because[0].says}.", soft_wrap=True)
    console.print()


def _rank(one: Recommendation) -> int:
    return one.rank


def _print_both(console: Console, both: Together, today: date) -> None:
    console.print(Text(f"Together: {both.first.name} + {both.second.name}", style="bold"))
    does = "; ".join(f"{name} has {', '.join(does)}" for name, does in both.pair.does if does)
    console.print(f"  {both.why}{f': {does}' if does else ''}", soft_wrap=True)
    for one in both.told:
        name = one.partner.name
        for reason in one.against[:MOST_AGAINST]:
            line = Text.assemble(("   - ", "red"), f"{name}: {reason.says}", (_facts(reason, today), QUIET))
            console.print(line, soft_wrap=True)
        for words in one.conditions:
            console.print(Text.assemble(("   ! ", "yellow"), f"{name}: {words}"), soft_wrap=True)
        for reason in one.to_ask:
            console.print(Text.assemble(("   ? ", "yellow"), f"{name}: {_doubt(reason)}"), soft_wrap=True)
        console.print(f"   Fee of {name}: {_fee(one)}", soft_wrap=True)
    console.print()


def _fee(one: Recommendation) -> str:
    fee = "unknown: ask" if one.fee_per_month is None else f"{one.fee_per_month:,.0f} USD a month at least"
    machines = one.partner.facts.get("brings_machines")
    return fee + (", machines included" if machines and machines.value is True else ", machines beside")


def _print_one(console: Console, one: Recommendation, today: date) -> None:
    free = "  a free offer" if one.judgement.free else ""
    console.print(Text(f"{one.rank}. {one.partner.name}  ({one.judgement.score:.2f}){free}", style="bold green"))
    console.print(f"   {one.partner.what}", soft_wrap=True)
    for reason in one.reasons[:MOST_REASONS]:
        console.print(Text.assemble(("   + ", "green"), reason.says, (_facts(reason, today), QUIET)), soft_wrap=True)
    for reason in one.against[:MOST_REASONS]:
        console.print(Text.assemble(("   - ", "red"), reason.says, (_facts(reason, today), QUIET)), soft_wrap=True)
    for condition in one.conditions:
        console.print(Text.assemble(("   ! ", "yellow"), condition), soft_wrap=True)
    for reason in one.to_ask:
        console.print(Text.assemble(("   ? ", "yellow"), _doubt(reason)), soft_wrap=True)
    price = one.partner.facts.get("price")
    said = f". {price.shown} [{price.cited(today)}]" if price else ""
    console.print(f"   Fee: {_fee(one)}{said}", soft_wrap=True)
    if payer := one.partner.facts.get("funded_by"):
        until = one.partner.facts.get("funded_until")
        words = f"{payer.shown}; until {until.shown if until else 'when: unknown'}"
        console.print(f"   Who pays for it: {words} [{payer.cited(today)}]", soft_wrap=True)
    if "apply" in one.partner.facts:
        console.print(f"   How to ask for it: {one.partner.facts['apply'].shown}", soft_wrap=True)
    said = "; ".join(f"{who} ({count})" for who, count in interests(one.partner).items())
    stale = one.partner.stale(today)
    old = f"; {len(stale)} of them stale" if stale else ""
    console.print(
        f"   {len(one.partner.facts)} facts{old}; interests of those who said or entered them: {said}\n",
        style=QUIET,
        soft_wrap=True,
    )


def _doubt(reason: Reason) -> str:
    """Return what isn't known, and which question left open may settle it."""
    words = reason.says.removeprefix("Ask: ").rstrip("?")
    return f"{words} (answer {' or '.join(reason.unanswered)})" if reason.unanswered else words


def _facts(reason: Reason, today: date) -> str:
    facts = [
        f"{fact.field.replace('_', ' ')}: {fact.shown}{f' ({fact.note})' if fact.note else ''} [{fact.cited(today)}]"
        for fact in reason.facts
    ]
    if reason.rule == "remark":
        facts = [f"[{fact.cited(today)}]" for fact in reason.facts]
    return f"  {'; '.join(facts)}" if facts else ""


def _print_changes(console: Console, advice: Advice, questionnaire: Questionnaire) -> None:
    if not advice.changes:
        return
    found = turns(advice.changes)
    console.print(Text("What would change the first place", style="bold"))
    before = None
    for turn in found[:MOST_CHANGES]:
        if turn.question is not before:
            console.print(
                Padding(
                    Text.assemble(turn.question.asks, (f"  ({turn.question.id})", QUIET)), (0, 0, 0, 2), expand=False
                )
            )
        before = turn.question
        said = advice.answers.get(turn.question.id)
        told = [questionnaire.difference(turn.question, said, answer) for answer in turn.answers]
        first = named([with_fee(*one) for one in zip(turn.first, turn.fees, strict=True)]) or "nothing fits alone"
        console.print(Padding(Text.assemble(f"{' / '.join(told)}: ", (first, "green")), (0, 0, 0, 6), expand=False))
    if len(found) > MOST_CHANGES:
        console.print(f"  and {len(found) - MOST_CHANGES} more; --json has all of them", style=QUIET)
    console.print()


def _print_excluded(console: Console, advice: Advice, *, everything: bool) -> None:
    shown = [one for one in advice.excluded if everything or one.has_ended]
    if not everything and not advice.ranked:
        shown += advice.near
    if not shown:
        return
    console.print(Text("Left out", style="bold"))
    for one in sorted(shown, key=lambda one: (one.otherwise or len(advice.excluded), one.partner.name)):
        but = f" It would stand at rank {one.otherwise} but for that." if one.otherwise else ""
        reasons = "; ".join(f"{reason.says}{_facts(reason, advice.today)}" for reason in one.because)
        console.print(f"  {one.partner.name}: {reasons}.{but}", soft_wrap=True)
    rest = len(advice.excluded) - len(shown)
    if rest:
        console.print(f"  and {rest} others; --all says why", style=QUIET)
    console.print()
