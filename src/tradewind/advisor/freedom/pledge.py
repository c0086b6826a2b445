"""``freedom.toml``: what a project says of itself, and what it gave up on purpose, by whom, when and why."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from tradewind.advisor.freedom.finding import Place
from tradewind.advisor.freedom.rules import Freedoms
from tradewind.advisor.reading import parsed
from tradewind.errors import ConfigError

FILE = "freedom.toml"
A_YEAR = timedelta(days=365)
LONGEST = timedelta(days=5 * 365)
CLOUDS = ("aws", "google", "azure")
SAYS = {"cloud", "region", "services", "copy", "replicated", "login", "funded_until"}
KEYS = {"rule", "what", "path", "by", "date", "until", "reason"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A loss that somebody took on purpose."""

    rule: str
    by: str
    on: date
    """When it was accepted."""
    until: date
    """It is looked at again by then: default a year later."""
    reason: str
    what: str = ""
    """Of what alone, as "coiled"; empty for all that the rule finds."""
    path: str = ""
    """In files of this name or pattern alone; empty for all."""

    def covers(self, rule: str, what: str, place: Place) -> bool:
        """Whether it speaks of this place."""
        return (
            self.rule == rule
            and (not self.what or fnmatch.fnmatchcase(what, self.what))
            and (not self.path or fnmatch.fnmatchcase(place.path, self.path))
        )

    @property
    def shown(self) -> str:
        """What it is about, for a person."""
        about = f"{self.rule} {self.what}".strip()
        return f"{about} in {self.path}" if self.path else about


@dataclass(frozen=True, slots=True, kw_only=True)
class Pledge:
    """The file, read."""

    cloud: str = ""
    """Where its data and machines mostly are."""
    region: str = ""
    services: tuple[str, ...] = ()
    """Ids of partners that it uses beside those its code names."""
    copy: str = ""
    """Where a copy of its data is, outside of the account that holds them."""
    replicated: date | None = None
    """When the same example last ran in two places, and gave the same."""
    login: tuple[str, ...] = ()
    """By what people sign in."""
    funded_until: date | None = None
    accepted: tuple[Accepted, ...] = ()
    faults: tuple[str, ...] = field(default=())
    """What of the file counts for nothing, and why."""


def read_pledge(text: str, freedoms: Freedoms, today: date) -> Pledge:
    """Return what a ``freedom.toml`` says; what can't be used is told among its faults, and never believed.

    Raises
    ------
    ConfigError
        It isn't TOML; says in which line.
    """
    tables = parsed(text, FILE)
    faults: list[str] = []
    for name in sorted(set(tables) - {"project", "accepted"}):
        faults.append(f"nobody knows what {name!r} means; there are [project] and [[accepted]].")
    project = tables.get("project", {})
    if not isinstance(project, Mapping):
        raise ConfigError(f"{FILE}: [project] is a table.")
    for name in sorted(set(project) - SAYS):
        faults.append(f"[project] {name}: nobody knows what that means; there are {', '.join(sorted(SAYS))}.")
    listed = tables.get("accepted", [])
    entries = listed if isinstance(listed, list) else []
    if entries is not listed:
        faults.append("`accepted` is a list of tables: write [[accepted]] above each.")
    accepted = [
        one
        for number, entry in enumerate(entries, start=1)
        if (one := _accepted(entry, number, freedoms, today, faults.append)) is not None
    ]
    cloud = _text(project, "cloud", faults.append)
    if cloud and cloud not in CLOUDS:
        faults.append(f"[project] cloud is {cloud!r}, and is to be one of {', '.join(CLOUDS)}.")
        cloud = ""
    return Pledge(
        cloud=cloud,
        region=_text(project, "region", faults.append),
        services=_services(project, freedoms, faults.append),
        copy=_text(project, "copy", faults.append),
        replicated=_replicated(project, today, faults.append),
        login=tuple(_words(project, "login", faults.append)),
        funded_until=_date(project, "funded_until", "[project]", faults.append),
        accepted=tuple(accepted),
        faults=tuple(faults),
    )


def _accepted(
    entry: Any, number: int, freedoms: Freedoms, today: date, fault: Callable[[str], None]
) -> Accepted | None:
    where = f"[[accepted]] number {number}"
    if not isinstance(entry, Mapping):
        fault(f"{where} is no table.")
        return None
    for name in sorted(set(entry) - KEYS):
        fault(f"{where}: nobody knows what {name!r} means; it has {', '.join(sorted(KEYS))}.")
    rule = _text(entry, "rule", fault)
    if rule not in freedoms.rules:
        near = difflib.get_close_matches(rule, freedoms.rules, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(freedoms.rules)}."
        fault(f"{where} names the rule {rule!r}, which there isn't; {hint}")
        return None
    where += f" ({rule})"
    by, reason = _text(entry, "by", fault).strip(), _text(entry, "reason", fault).strip()
    for name, said in (("by", by), ("reason", reason)):
        if not said:
            fault(f"{where} has no {name!r}: a trade-off is somebody's, for a reason. It counts for nothing.")
    on = _date(entry, "date", where, fault)
    if on is None and "date" not in entry:
        fault(f"{where} has no 'date'. It counts for nothing.")
    if on is not None and on > today:
        fault(f"{where} is of {on}, which is still to come. It counts for nothing.")
        return None
    if on is None or not by or not reason:
        return None
    until = _date(entry, "until", where, fault) or on + A_YEAR
    if until > on + LONGEST:
        until = on + LONGEST
        fault(f"{where} is for more than five years, and is looked at again on {until}.")
    what, path = _text(entry, "what", fault), _text(entry, "path", fault)
    return Accepted(rule=rule, by=by, on=on, until=until, reason=reason, what=what, path=path)


def _services(project: Mapping[str, Any], freedoms: Freedoms, fault: Callable[[str], None]) -> tuple[str, ...]:
    known = {partner.id for partner in freedoms.directory}
    found = []
    for name in _words(project, "services", fault):
        if name in known:
            found.append(name)
        else:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "`tradewind partner list` shows those there are."
            fault(f"[project] services names {name!r}, of which the directory knows nothing; {hint}")
    return tuple(found)


def _replicated(project: Mapping[str, Any], today: date, fault: Callable[[str], None]) -> date | None:
    on = _date(project, "replicated", "[project]", fault)
    if on is not None and on > today:
        fault(f"[project] replicated is {on}, which is still to come; it counts for nothing.")
        return None
    return on


def _text(table: Mapping[str, Any], name: str, fault: Callable[[str], None]) -> str:
    said = table.get(name, "")
    if isinstance(said, str):
        return said
    fault(f"{name} is {said!r:.60}, and is to be text.")
    return ""


def _words(table: Mapping[str, Any], name: str, fault: Callable[[str], None]) -> list[str]:
    said = table.get(name, [])
    if isinstance(said, list) and all(isinstance(word, str) for word in said):
        return said
    fault(f"[project] {name} is {said!r:.60}, and is to be a list of words.")
    return []


def _date(table: Mapping[str, Any], name: str, where: str, fault: Callable[[str], None]) -> date | None:
    said = table.get(name)
    if said is None:
        return None
    if isinstance(said, date) and not isinstance(said, datetime):
        return said
    fault(f"{where}: {name} is {said!r:.60}, and is to be a date without quotes, as 2026-11-23.")
    return None
