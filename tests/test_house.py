"""The rules of the house that a linter can't say."""

from __future__ import annotations

import ast
import importlib
import importlib.util
import inspect
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SRC = ROOT / "src" / "tradewind"
FILES = sorted(path for path in SRC.rglob("*.py") if "versions" not in path.parts)
DOCS = sorted((ROOT / "docs").rglob("*.md"))
COMMAND_BLOCK = re.compile(r"^```(?:bash|sh|shell|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)

LONGEST_FILE = 500
MOST_MODULES = 490
"""Beside ``__init__.py``. Raise it knowingly: a bigger house is a slower read for everybody.

With the shared server (33 modules behind HTTP, people, budgets, PostgreSQL) some 230 stand there, of about 140 lines
each; with fewer, the same code would stand in files of two nouns. Packed environments and the stores they lie in took
seven, batch queues ten, most of them shared by all queues; each further queue takes three to six, and a login node
behind SSH four, and what lasts in a queue (long waits, accounts, who follows whom) four; PBS, LSF and HTCondor took
17, and dask-jobqueue's words for all of them four. The rest is room for the next providers, not for a second way to do
a thing.

The advisor (what fits a group, and what it would cost) is a second, small product in the same house: some 20 modules,
25 more since it also reads projects, tells of moves and keeps reviews, and its pages.
"""


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the last word of everything ``path`` calls, with its line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Name):
                yield called.id, node.lineno
            elif isinstance(called, ast.Attribute):
                yield called.attr, node.lineno


def pages(folder: str = "") -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in DOCS if f"docs/{folder}" in path.as_posix())


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_file_outgrows_its_room(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())

    assert lines <= LONGEST_FILE, f"{name(path)} has {lines} lines; split it by noun, not by half"


def test_the_house_stays_small() -> None:
    modules = [path for path in FILES if path.name != "__init__.py"]

    assert len(modules) <= MOST_MODULES, (
        f"{len(modules)} modules, and {MOST_MODULES} are allowed: delete or merge one, or raise the limit and say why"
    )


@pytest.mark.parametrize("path", FILES, ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))

    assert text, f"{name(path)} has no docstring"
    assert text.splitlines()[0].rstrip().endswith((".", ":", "?")), f"{name(path)}: its first line is no sentence"


def test_there_is_no_room_for_what_has_no_name() -> None:
    nameless = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "handlers"}

    assert [name(path) for path in FILES if {path.stem, *path.relative_to(SRC).parts} & nameless] == []


@pytest.mark.parametrize("path", [p for p in FILES if "cli" not in p.relative_to(SRC).parts], ids=name)
def test_only_the_command_line_prints(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    # By its bare name: a console's own method of that name writes where it was told to.
    names = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]

    assert [called.lineno for called in names if called.id == "print"] == []


@pytest.mark.parametrize(
    "path", [p for p in FILES if {"model", "planning", "advisor"} & set(p.relative_to(SRC).parts)], ids=name
)
def test_the_pure_floors_never_ask_what_time_it_is(path: Path) -> None:
    assert [line for called, line in calls(path) if called in {"now", "utcnow", "today"}] == []


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_is_left_for_later(path: Path) -> None:
    unfinished = re.findall(r"\b(?:TODO|FIXME|XXX|NotImplementedError)\b", path.read_text(encoding="utf-8"))

    assert unfinished == []


def test_the_readme_has_two_commands_of_one_line_each() -> None:
    commands = [block.strip() for block in COMMAND_BLOCK.findall((ROOT / "README.md").read_text(encoding="utf-8"))]

    assert len(commands) == 2
    assert all("\n" not in command for command in commands)
    assert "pytest" in commands[1], "the second command runs the tests"


def test_the_readme_asks_only_for_extras_that_exist() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = {
        extra
        for text in [(ROOT / "README.md").read_text(encoding="utf-8"), pages()]
        for group in re.findall(r"'\.\[([\w,]+)\]'", text)
        for extra in group.split(",")
    }

    assert asked
    assert asked <= set(project["optional-dependencies"])


def test_every_extra_is_documented() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    assert [extra for extra in project["optional-dependencies"] if f"`{extra}`" not in pages()] == []


def test_this_version_is_in_the_changelog() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_error_stands_in_the_tree_at_the_top_of_its_module() -> None:
    tree = ast.parse((SRC / "errors.py").read_text(encoding="utf-8"))
    drawn = set(re.findall(r"\w+", ast.get_docstring(tree) or ""))

    assert [node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name not in drawn] == []


def test_every_reason_and_status_is_explained() -> None:
    from tradewind.model.cluster import ClusterStatus, StopReason

    life = (ROOT / "docs" / "concepts" / "life.md").read_text(encoding="utf-8")

    assert [reason for reason in StopReason if f"| `{reason}` |" not in life] == []
    assert [status for status in ClusterStatus if f"| {status} |" not in life] == []


def test_every_public_name_is_in_the_reference() -> None:
    public = getattr(importlib.import_module("tradewind"), "__all__", [])
    reference = pages("reference")

    assert [word for word in public if not word.startswith("__") and not re.search(rf"\b{word}\b", reference)] == []


def test_what_the_reference_is_generated_from_exists() -> None:
    asked = re.findall(r"^<!-- (?:commands|settings): ?([\w.:]+) -->$", pages("reference"), re.MULTILINE)
    missing = []
    for path in asked:
        module, _, attribute = path.replace(":", ".").rpartition(".")
        if not hasattr(importlib.import_module(module), attribute):
            missing.append(path)

    assert asked
    assert missing == []


def test_every_command_in_the_pages_exists() -> None:
    import click

    from tradewind.cli import main

    told = set(re.findall(r"^tradewind ((?:[a-z-]+ ?)+)", pages(), re.MULTILINE))
    prose = pages() + (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    told |= set(re.findall(r"`tradewind ((?:[a-z-]+ ?)+)", prose))
    unknown = []
    for words in sorted(told):
        command: click.Command = main
        for word in words.split():
            if not isinstance(command, click.Group):
                break  # what follows is an argument
            if word not in command.commands:
                unknown.append(f"tradewind {words}")
                break
            command = command.commands[word]

    assert told
    assert unknown == []


def test_every_keyword_of_a_cluster_is_documented() -> None:
    from tradewind import Cluster

    told = set(re.findall(r"^(\w+(?:, \w+)*) : ", inspect.getdoc(Cluster) or "", re.MULTILINE))
    told = {word for line in told for word in line.split(", ")}
    never = {"self", "unknown", "container", "ignore_container_entrypoint", "worker_class"}  # refused, as Coiled's
    keywords = set(inspect.signature(Cluster.__init__).parameters) - never

    assert keywords - told == set()
    assert told - keywords == set(), "these are told and don't exist"


def test_every_setting_says_what_it_is() -> None:
    from tradewind import config

    # Tables that several share stand beside those of one alone.
    trees = [ast.parse((SRC / "config" / name).read_text(encoding="utf-8")) for name in ("settings.py", "batch.py")]
    silent = []
    for table in [node for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]:
        for field, after in zip(table.body, [*table.body[1:], None], strict=True):
            is_text = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
            match field:
                case ast.AnnAssign(target=ast.Name(id=key)) if not is_text and not hasattr(config, _table_of(field)):
                    silent.append(f"{table.name}.{key}")

    assert silent == []


def _table_of(field: ast.AnnAssign) -> str:
    """Return the class of a setting that is a table of settings, which says itself what it is."""
    return ast.unparse(field.annotation)


def test_every_command_and_option_says_what_it_does() -> None:
    import click

    from tradewind.cli import main

    silent = []

    def look(command: click.Command, words: str) -> None:
        if not command.help:
            silent.append(words)
        silent.extend(
            f"{words} {option.name}"
            for option in command.params
            if isinstance(option, click.Option) and not option.help
        )
        for child in getattr(command, "commands", {}):
            look(command.commands[child], f"{words} {child}")  # type: ignore[attr-defined]

    look(main, "tradewind")

    assert silent == []
