"""The rules of freedom, as they were read: bars, rules, and what to look for."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from tradewind.advisor.expression import Expression, Grammar
from tradewind.advisor.partner import Directory
from tradewind.errors import ConfigError

FULL = 20
"""Points of a bar that lost nothing; five bars have a hundred."""


class Per(StrEnum):
    """What counts as one loss."""

    WHAT = "what"
    PLACE = "place"
    MODULE = "module"
    PROJECT = "project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One of the freedoms."""

    id: str
    label: str
    asks: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Something that ties a project."""

    id: str
    bars: tuple[str, ...]
    points: int
    lesser: int
    """Points of its milder form."""
    per: Per
    most: int
    """Points it takes together from a bar."""
    says: str
    fix: str
    costs: str
    """The number of ``assumptions.toml`` that says what it costs for each terabyte; empty where nothing is paid."""
    when: Expression | None
    """What must be so of a service the project uses; None where that isn't asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What is looked for in texts."""

    rule: str
    regex: re.Pattern[str]
    is_whole: bool
    files: tuple[str, ...]
    """In files of these names alone; empty for all."""

    def found(self, text: str) -> tuple[str, ...]:
        """Return what it finds in a text."""
        if self.is_whole:
            match = self.regex.fullmatch(text)
            return (match["what"],) if match else ()
        return tuple(match["what"] for match in self.regex.finditer(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What is looked for in code, by its name."""

    rule: str
    names: tuple[str, ...]

    def holds(self, name: str) -> bool:
        """Whether a name is one of these."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Packages by which a partner is used."""

    id: str
    packages: tuple[str, ...]
    modules: tuple[str, ...]
    partner: str
    platform: tuple[str, ...]

    def has_package(self, name: str) -> bool:
        """Whether a distribution of this name (as indexes spell it) is one of its."""
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self.packages)

    def has_module(self, name: str) -> bool:
        """Whether a dotted module is one of its."""
        return name.partition(".")[0] in self.modules


@dataclass(frozen=True, slots=True, kw_only=True)
class Freedoms:
    """All of them."""

    bars: Mapping[str, Bar]
    rules: Mapping[str, Rule]
    patterns: tuple[Pattern, ...]
    calls: tuple[Names, ...]
    decorators: tuple[Names, ...]
    imports: tuple[Names, ...]
    keywords: tuple[Names, ...]
    images: tuple[Names, ...]
    public: frozenset[str]
    """Hosts that anybody may fetch from."""
    clients: Mapping[str, Client]
    directory: Directory

    def client_of(self, package: str) -> str | None:
        """Return whose package this is, None for all that have no service behind them."""
        plain = normal(package)
        return next((client.id for client in self.clients.values() if client.has_package(plain)), None)


def normal(package: str) -> str:
    """Return a distribution's name as indexes spell it."""
    return re.sub(r"[-_.]+", "-", package).lower()


def read_freedoms(
    tables: Mapping[str, Any], clients: Mapping[str, Any], grammar: Grammar, directory: Directory
) -> Freedoms:
    """Return the rules of the two files.

    Raises
    ------
    ConfigError
        A rule says what can't be said; names it.
    """
    known = {"bar", "rule", "pattern", "call", "decorator", "import", "keyword", "image", "public"}
    if unknown := set(tables) - known:
        raise ConfigError(f"freedom/rules.toml: nobody knows what {sorted(unknown)[0]!r} means.")
    bars = {name: Bar(id=name, label=table["label"], asks=table["asks"]) for name, table in tables["bar"].items()}
    rules = {name: _rule(name, table, bars, grammar) for name, table in tables["rule"].items()}

    def rule_of(table: Mapping[str, Any]) -> str:
        if table["rule"] not in rules:
            raise ConfigError(f"freedom/rules.toml: there is no rule {table['rule']!r}.")
        return str(table["rule"])

    def names(kind: str) -> tuple[Names, ...]:
        return tuple(Names(rule=rule_of(table), names=tuple(table["names"])) for table in tables.get(kind, ()))

    return Freedoms(
        bars=bars,
        rules=rules,
        patterns=tuple(
            Pattern(
                rule=rule_of(table),
                regex=re.compile(table["regex"]),
                is_whole=table.get("whole", False),
                files=tuple(table.get("files", ())),
            )
            for table in tables["pattern"]
        ),
        calls=names("call"),
        decorators=names("decorator"),
        imports=names("import"),
        keywords=names("keyword"),
        images=names("image"),
        public=frozenset(tables["public"]["hosts"]),
        clients={name: _client(name, table, directory) for name, table in clients.items()},
        directory=directory,
    )


def _rule(name: str, table: Mapping[str, Any], bars: Mapping[str, Bar], grammar: Grammar) -> Rule:
    where = f"freedom/rules.toml, rule {name}"
    if unknown := set(table) - {"bars", "points", "lesser", "per", "most", "says", "fix", "when", "costs"}:
        raise ConfigError(f"{where}: nobody knows what {sorted(unknown)[0]!r} means.")
    if strange := set(table["bars"]) - set(bars):
        raise ConfigError(f"{where}: there is no bar {sorted(strange)[0]!r}.")
    points = table["points"]
    return Rule(
        id=name,
        bars=tuple(table["bars"]),
        points=points,
        lesser=table.get("lesser", points),
        per=Per(table["per"]),
        most=table.get("most", FULL),
        says=table["says"],
        fix=table["fix"],
        costs=table.get("costs", ""),
        when=grammar.read(table["when"], where) if "when" in table else None,
    )


def _client(name: str, table: Mapping[str, Any], directory: Directory) -> Client:
    if unknown := set(table) - {"packages", "modules", "partner", "platform"}:
        raise ConfigError(f"freedom/clients.toml, {name}: nobody knows what {sorted(unknown)[0]!r} means.")
    return Client(
        id=name,
        packages=tuple(table["packages"]),
        modules=tuple(table.get("modules", table["packages"])),
        partner=directory.find(table["partner"]).id,
        platform=tuple(table.get("platform", ())),
    )
