"""Where a project starts clusters, and with which keywords."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tradewind.advisor.freedom.code import parse
from tradewind.advisor.freedom.finding import Document, Place
from tradewind.advisor.freedom.names import Nodes, assigned, imports_of, whole_name
from tradewind.advisor.freedom.notebook import cells_of, plain_python
from tradewind.advisor.freedom.rules import Freedoms

OURS = frozenset({"tradewind.Cluster", "tradewind.client.cluster.Cluster", "tradewind.Cluster.plan"})
ALIKE = "coiled.Cluster"
"""Takes keywords of the same names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One call that starts a cluster."""

    name: str
    place: Place
    keywords: Mapping[str, Any]
    """Those whose value is written there."""
    computed: tuple[str, ...]
    """Those whose value isn't known before it runs."""

    @property
    def is_ours(self) -> bool:
        """Whether it is Tradewind's."""
        return self.name in OURS


def starts_in(document: Document, freedoms: Freedoms) -> tuple[Start, ...]:
    """Return every call in a file that starts a cluster; what can't be read has none."""
    if document.path.endswith(".py"):
        pieces = [(0, document.text)]
    elif document.path.endswith(".ipynb"):
        pieces = [(number, plain_python(text) or "") for number, text in _cells(document)]
    else:
        pieces = []
    behind: dict[str, str] = {}
    found: list[Start] = []
    for cell, text in pieces:
        try:
            tree = parse(text)
        except SyntaxError:
            continue
        nodes = list(ast.walk(tree))
        behind |= imports_of(nodes)[1]
        behind = assigned(nodes, behind)
        found.extend(_starts(nodes, Place(path=document.path, cell=cell), behind, freedoms))
    return tuple(found)


def _starts(nodes: Nodes, where: Place, behind: Mapping[str, str], freedoms: Freedoms) -> Iterator[Start]:
    rules = [rule for rule in freedoms.calls if rule.rule == "scattered-clusters"]
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        name = whole_name(node.func, behind)
        if name not in OURS and not any(rule.holds(name) for rule in rules):
            continue
        keywords: dict[str, Any] = {}
        computed: list[str] = []
        for keyword in node.keywords:
            try:
                keywords[keyword.arg or ""] = ast.literal_eval(keyword.value)
            except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
                computed.append(keyword.arg or "**")
        place = Place(path=where.path, cell=where.cell, line=node.lineno)
        yield Start(name=name, place=place, keywords=keywords, computed=tuple(computed))


def _cells(document: Document) -> list[tuple[int, str]]:
    try:
        found = cells_of(json.loads(document.text))
    except (ValueError, RecursionError):
        return []
    return found[1] if found is not None else []
