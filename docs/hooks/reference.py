"""Writes the parts of the reference that the program itself knows: commands and settings.

A page asks for a part with a comment: ``<!-- commands: module:group -->``, ``<!-- settings: module:Class -->``.
``<!-- moves: module -->`` is for what changes between each two ways to run clusters. The pages are made from the code
at each build, so they can't tell an older story than the code does.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import re
import sys
import types
import typing
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parents[2]
ROLE = re.compile(r":(?:attr|class|exc|func|meth|mod):<code>~?(?:[\w.]*\.)?(\w+)</code>")
NOTHING = "nothing but the settings"
PART = re.compile(r"^<!-- (commands|settings|moves): ?(.*?)-->$", re.MULTILINE)


def on_startup(**_: Any) -> None:
    """Let the pages be built from a tree that isn't installed."""
    sys.path.insert(0, str(ROOT / "src"))


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill in the parts this page asks for."""
    makers = {"commands": commands, "settings": settings, "moves": moves}
    return PART.sub(lambda found: makers[found[1]](found[2].strip()), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Take out the reStructuredText of docstrings that Markdown doesn't know: roles, and ``::`` before a block."""
    return ROLE.sub(r"<code>\1</code>", html).replace("<p>::</p>\n", "")


def module(name: str) -> ModuleType | None:
    """Return a module of the package, or None where this version has none of that name."""
    try:
        return importlib.import_module(name) if importlib.util.find_spec(name) else None
    except ModuleNotFoundError as error:
        if error.name is not None and name.startswith(error.name):
            return None  # not even its package is there
        raise


def commands(path: str) -> str:
    """Return every command of the click group ``module:attribute``, with its options and help."""
    owner, _, name = path.partition(":")
    group = getattr(module(owner), name, None)
    if group is None:
        return "This version has no commands."
    import click  # noqa: PLC0415 - only where there are commands to show

    lines: list[str] = []

    def describe(command: click.Command, parent: click.Context | None, words: str, depth: int) -> None:
        context = click.Context(command, info_name=words.split()[-1], parent=parent)
        children = getattr(command, "commands", {})
        usage = " ".join([words, *command.collect_usage_pieces(context)])
        lines.extend(
            [f"{'#' * depth} {words}", "", f"```text\n{usage}\n```", "", inspect.cleandoc(command.help or ""), ""]
        )
        for parameter in command.get_params(context):
            record = parameter.get_help_record(context)
            if isinstance(parameter, click.Option) and record and record[0] != "--help":
                lines.extend([f"`{record[0]}`", f":   {record[1] or 'no more to say'}", ""])
        for child in sorted(children):
            if not children[child].hidden:
                describe(children[child], context, f"{words} {child}", min(depth + 1, 4))

    describe(group, None, "tradewind", 2)
    return "\n".join(lines)


def settings(path: str) -> str:
    """Return a table for each table of the settings ``module:Class``, from its fields and their docstrings."""
    owner, _, name = path.partition(":")
    root = getattr(module(owner), name, None)
    if root is None:
        return "This version has no settings."
    return "\n".join(_tables(root, ()))


def moves(path: str) -> str:
    """Return what changes on the way from each way to run clusters to each other, as ``module`` tells of them."""
    ways = module(path)
    if ways is None:
        return "This version has one way to run clusters."
    from tradewind.advisor.freedom.move import differences  # noqa: PLC0415 - only where there are moves to show
    from tradewind.advisor.shelf import open_words_of_moves  # noqa: PLC0415
    from tradewind.config import Settings  # noqa: PLC0415

    known = {name: ways.way(name, Settings()) for name in ways.names()}
    lines: list[str] = []
    for there in known.values():
        lines += [f"## To {there.name}", ""]
        needed = [setting for setting in there.settings if setting.is_needed]
        if needed:
            lines += ["Set first:", "", *(f"- `{one.key}`: {one.meaning}" for one in needed), ""]
        alike: dict[tuple[str, ...], list[str]] = {}
        for here in known.values():
            if here is not there:
                told = tuple(one.says for one in differences(here, there, open_words_of_moves()))
                alike.setdefault(told, []).append(here.name)
        for told, names in alike.items():
            lines += [f"**From {', '.join(names)}**", "", *(f"- {says}" for says in told or (NOTHING,)), ""]
    return "\n".join(lines)


def _tables(kind: type, keys: tuple[str, ...]) -> list[str]:
    from tradewind.config.meanings import meanings  # noqa: PLC0415 - only where there are settings to show

    docs = meanings(kind)
    hints = typing.get_type_hints(kind)
    rows: list[str] = []
    below: list[str] = []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            below.extend(_tables(hint, (*keys, field.name)))
            continue
        item = next(iter(typing.get_args(hint)), None)
        if isinstance(item, type) and dataclasses.is_dataclass(item):
            below.extend(_tables(item, (*keys, f"{field.name}[]")))
            continue
        below_it = ("name",) if typing.get_origin(hint) is not None and not isinstance(hint, types.UnionType) else ()
        variable = "TRADEWIND_" + "__".join((*keys, field.name, *below_it)).upper()
        text = docs.get(field.name, "").replace("|", "\\|")
        rows.append(f"| `{field.name}` | {_default(field)} | `{variable}` | {text} |")
    is_list = bool(keys) and keys[-1].endswith("[]")
    place = ".".join(keys).removesuffix("[]")
    title = (f"`[[{place}]]`" if is_list else f"`[{place}]`") if keys else "At the top of the file"
    if is_list:
        rows = [re.sub(r"\| `TRADEWIND_\S+` \|", "| – |", row) for row in rows]
    head = [f"## {title}", "", " ".join((inspect.getdoc(kind) or "").split()), ""]
    table = ["| key | default | variable | meaning |", "|---|---|---|---|", *rows, ""] if rows else []
    return (head + table if rows else []) + below


def _default(field: dataclasses.Field[Any]) -> str:
    if isinstance(field.default, timedelta):
        return f"`{field.default.total_seconds() / 60:g} min`"
    if field.default is not dataclasses.MISSING:
        return "none" if field.default is None else f"`{field.default}`"
    if field.default_factory is not dataclasses.MISSING:
        made = field.default_factory()
        return "empty" if made in ({}, (), []) else f"`{made}`"
    return "must be given"
