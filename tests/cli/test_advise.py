"""``tradewind advise`` and ``tradewind partner`` as somebody uses them who knows nothing about clouds."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.conftest import Run

Ask = Callable[..., Any]
DAY = ("--at", "2026-11-23")


def test_answers_on_the_line_are_answered_with_reasons_and_what_speaks_against(run: Run) -> None:
    told = run("advise", "--set", "hub=must", "--set", "admin=nobody", "--set", "pay=money", *DAY)

    assert told.exit_code == 0, told.output
    for words in ("1. 2i2c", "a hub with notebooks", "[2I-8, 2026-03-02]", "No service level", "1,260 USD a month"):
        assert words in told.stdout
    for words in ("What would change the first place", "no rule names a partner", "Weights"):
        assert words in told.stdout


def test_a_file_of_answers_is_read_with_its_weights(ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "answers.toml"
    file.write_text('work = ["gpu", "jobs"]\nadmin = "python"\npay = ["money"]\n[weights]\nleave = 10\n')

    told = ask("advise", "--answers", str(file), *DAY)

    assert told["verdict"] == "found"
    assert told["weights"]["leave"] == 10
    assert told["ranked"][0]["id"] == "skypilot"
    assert {"rank", "score", "reasons", "against", "conditions", "interests"} <= set(told["ranked"][0])
    fact = told["ranked"][0]["reasons"][0]["facts"][0]
    assert {"value", "unit", "source", "read_date", "kind", "confidence", "interest", "valid_until"} <= set(fact)


def test_the_form_it_prints_can_be_answered_with(run: Run, tmp_path: Path) -> None:
    form = run("advise", "--questions").stdout
    file = tmp_path / "answers.toml"
    # Every line with an example is one that may stand there.
    lines = [line.removeprefix("# ") for line in form.splitlines() if " = " in line and "weights" not in line]
    file.write_text("\n".join(line for line in lines if not line.startswith(("uses_now", "low-fee", "admins"))))

    told = run("advise", "--answers", str(file))

    assert told.exit_code == 0, told.output


@pytest.mark.parametrize(("said", "meant"), [("1,200", "1200"), ("60", "60")])
def test_a_number_on_the_line_may_mark_its_thousands(ask: Ask, said: str, meant: str) -> None:
    assert str(ask("advise", "--set", f"people={said}", *DAY)["answers"]["people"]) == meant


def test_no_honest_offer_is_said_plainly_with_the_nearest(run: Run) -> None:
    words = ["people=30", "budget_per_month=200", "hub=must", "admin=nobody", "pay=money"]
    told = run("advise", *(word for said in words for word in ("--set", said)), *DAY)

    assert told.exit_code == 0
    assert "No honest offer found." in told.stdout
    assert "Nearest: 2i2c" in told.stdout


def test_the_answer_explains_what_ended_since_it_was_the_answer(run: Run) -> None:
    words = ["pay=credits", "hub=must", "admin=linux", "uptime=days"]
    told = run("advise", *(word for said in words for word in ("--set", said)), *DAY)

    assert "Nebari (classic): It has ended" in told.stdout
    assert "archived, since 2026-04-21 [NB-1" in told.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "hub"), "QUESTION=ANSWER"),
        (("--set", "hub=often"), "'often' is no answer"),
        (("--set", "country=Kenia"), "did you mean 'Kenya'"),
        (("--set", "pay=nothing", "--set", "budget_per_month=5"), "contradict each other"),
        (("--set", "hub=must", "--weight", "fun=3"), "no preference 'fun'"),
        (("--set", "hub=must", "--weight", "leave=much"), "PREFERENCE=NUMBER"),
        (("--set", "people=0"), "from 1 up"),
        (("--set", "project_until=2020-01-01"), "2020-01-01 has passed"),
        ((), "--questions"),
    ],
)
def test_what_cant_be_is_named_in_one_line(run: Run, words: tuple[str, ...], said: str) -> None:
    told = run("advise", *words)

    assert told.exit_code == 1
    assert said in told.output
    assert "Traceback" not in told.output


@pytest.mark.parametrize("words", [("advise", "--answers"), ("estimate",), ("partner", "lint")])
def test_a_file_in_another_encoding_is_named_with_its_line(run: Run, tmp_path: Path, words: tuple[str, ...]) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes('people = 3\nname = "Université"\n'.encode("latin-1"))

    told = run(*words, str(tmp_path if "lint" in words else file))

    assert told.exit_code == 1
    assert "latin.toml can't be read: line 2 has a letter that isn't UTF-8" in told.output
    assert told.exception is None or isinstance(told.exception, SystemExit)


@pytest.mark.parametrize("weight", ["2026-01-01", "[1]", "true", '"much"', "nan", "11"])
def test_a_weight_that_is_none_is_named(run: Run, tmp_path: Path, weight: str) -> None:
    file = tmp_path / "answers.toml"
    file.write_text(f'hub = "must"\n[weights]\nlow-fee = {weight}\n')

    told = run("advise", "--answers", str(file))

    assert told.exit_code == 1
    assert "the weight of 'low-fee' is" in told.output


def test_a_partner_is_shown_with_every_fact_its_source_and_what_is_unknown(run: Run) -> None:
    told = run("partner", "show", "coiled", *DAY)

    for words in ("aws, google, azure", "CO-1, 2026-10-07", "Unknown:", "https://"):
        assert words in told.stdout


def test_partners_stand_side_by_side(run: Run, ask: Ask) -> None:
    told = run("partner", "compare", "2i2c", "Coiled", *DAY)

    assert told.exit_code == 0
    assert "Coiled" in told.stdout
    assert [one["id"] for one in ask("partner", "compare", "2i2c", "Coiled")] == ["2i2c", "coiled"]


def test_the_list_has_every_partner_with_its_status(ask: Ask, run: Run) -> None:
    assert len(ask("partner", "list")) >= 40
    assert "archived 2026-04-21" in run("partner", "list", *DAY).stdout


def test_facts_that_are_past_their_day_are_counted(ask: Ask) -> None:
    told = ask("partner", "show", "2i2c", "--at", "2027-06-01")

    assert any(fact["stale"] for fact in told["facts"])
    assert not any(fact["stale"] for fact in ask("partner", "show", "2i2c", *DAY)["facts"])


def test_lint_names_each_fault_of_a_folder_and_fails(run: Run, tmp_path: Path) -> None:
    (tmp_path / "somewhere.toml").write_text('id = "somewhere"\nfoo = 1\n')

    told = run("partner", "lint", str(tmp_path))

    assert told.exit_code == 1
    assert "somewhere.toml: it has no 'name'" in told.stdout
    assert run("partner", "lint").exit_code == 0


def test_the_example_programme_is_estimated_line_by_line(run: Run, ask: Ask, tmp_path: Path) -> None:
    file = tmp_path / "programme.toml"
    file.write_text(run("estimate", "--example").stdout)

    told = run("estimate", str(file), "--draws", "200")

    for words in (
        "300 people x 10 TB a month = 3,000.00 TB",
        "277.78 USD",
        "another region",
        "Who could pay",
        "Coiled",
    ):
        assert words in told.stdout
    assert {"ways", "lines", "faults", "assumptions", "could_pay"} <= set(ask("estimate", str(file), "--draws", "200"))


def test_an_estimate_of_nothing_says_where_to_start(run: Run) -> None:
    assert "--example" in run("estimate").output


def test_in_a_terminal_it_asks_and_takes_numbers_words_and_dont_know() -> None:
    # work, hub, clouds, pay (a slip, then right), regions, uptime, admin, country, budget, people; then no more.
    told = in_a_terminal("", "1", "", "gold", "money", "", "", "nobody", "", "", "", "n")

    assert "'gold' is no answer to it" in told
    assert "1. 2i2c" in told


def test_in_a_terminal_answers_that_cant_both_be_are_asked_again_at_once_and_no_other_is_lost() -> None:
    # As above; the budget is at odds with "nothing", so that both are asked again: pay with money, 1,500 a month.
    told = in_a_terminal("", "1", "", "nothing", "", "", "nobody", "", "100", "money", "1,500", "2.5", "5", "n")

    assert "you pay with nothing, and you could spend money (pay and budget_per_month)" in told
    after = told.partition("Once more, please")[2]
    assert "You said: " in after
    assert after.index("How much could you spend") < after.index("How many people")
    assert "2.5 is no number of people" in told.replace("'", "")
    assert "1. 2i2c" in told, "the hub that was asked for before is still asked for"


def in_a_terminal(*answers: str) -> str:
    """Return what a terminal shows to one who answers so; it must end well."""
    near, far = pty.openpty()
    script = "from tradewind.cli import main; main(['advise', '--at', '2026-11-23'])"
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdin=far, stdout=far, stderr=far, env={**os.environ, "COLUMNS": "120"}
    )
    os.close(far)
    for said in answers:
        os.write(near, f"{said}\n".encode())
    told = b""
    while chunk := _read(near):
        told += chunk
    os.close(near)

    assert process.wait(timeout=60) == 0
    return told.decode()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other side has closed its terminal
        return b""


def test_what_would_change_is_told_by_question_in_lines_that_fit_the_terminal(run: Run) -> None:
    told = run("advise", "--set", "hub=must", "--set", "admin=nobody", "--set", "pay=money", *DAY).stdout
    part = told[told.index("What would change") : told.index("Left out")]

    assert "  In which country is your group?" in part
    assert "      Germany: EGI Notebooks" in part
    assert max(map(len, part.splitlines())) <= 120


def test_the_page_opens_with_the_answer_on_this_machine_alone() -> None:
    words = ["advise", "--page", "--set", "hub=must", "--weight", "leave=5"]
    environ = {**os.environ, "PYTHONUNBUFFERED": "1"} | {"SSH_CONNECTION": "no browser is opened"}
    # Whoever starts tests in the background has SIGINT ignored, and what they start inherits that.
    listens = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-c", f"{listens}from tradewind.cli import main; main()", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            url = said.split(",")[0].removeprefix("The page is at ")
            root = url[: url.index("/advise")]
            assert root.startswith("http://127.0.0.1:")
            assert "~hub.must~w.leave.5" in url
            with httpx.Client() as client:
                answer = client.get(url)
                assert "What to do first" in answer.text
                assert client.get(f"{root}/static/advice.css").status_code == 200
                assert "facts" in client.get(f"{root}/partners").text
                assert client.get(f"{root}/anything").headers["location"] == "/advise"
                assert client.get(f"{root}/advise/answer?a=1").status_code == 400
                assert client.get(f"{root}/partners", headers={"Host": "evil.test"}).status_code == 403
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)
    assert process.returncode == 0


def test_a_free_offer_says_who_pays_for_it_and_until_when(run: Run) -> None:
    told = run(
        "advise", "--set", "hub=must", "--set", "admin=nobody", "--set", "pay=nothing", "--set", "country=DE", *DAY
    )

    assert (
        "Who pays for it: projects of the European Union (EGI-ACE, C-SCALE); until when: unknown [EG-1" in told.stdout
    )
