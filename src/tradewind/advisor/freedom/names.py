"""What names in a piece of Python stand for: ``c.Cluster`` after ``import coiled as c`` is ``coiled.Cluster``."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

CAUGHT = frozenset({"ImportError", "ModuleNotFoundError", "Exception"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """A module, or something of it, as the code names it."""

    name: str
    """Whole, with dots."""
    line: int
    is_optional: bool
    """Whether its absence is caught."""


Nodes = Sequence[ast.AST]
"""All of a tree: walked once, since generated files have millions."""


def imports_of(nodes: Nodes) -> tuple[list[Imported], dict[str, str]]:
    """Return what is imported, and the whole name behind each name; imports of one's own package are left out."""
    found: list[Imported] = []
    behind: dict[str, str] = {}
    tried = set(_tried(nodes))
    for node in nodes:
        match node:
            case ast.Import(names=names, lineno=line):
                for alias in names:
                    found.append(Imported(name=alias.name, line=line, is_optional=id(node) in tried))
                    # `import a.b` binds a, `import a.b as c` binds a.b.
                    behind[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            case ast.ImportFrom(module=str(module), names=names, level=0, lineno=line):
                for alias in names:
                    name = module if alias.name == "*" else f"{module}.{alias.name}"
                    found.append(Imported(name=name, line=line, is_optional=id(node) in tried))
                    behind[alias.asname or alias.name] = name
            case ast.Call(func=function, args=[ast.Constant(value=str(module)), *_], lineno=line) if whole_name(
                function, behind
            ) in {"importlib.import_module", "__import__"}:
                found.append(Imported(name=module, line=line, is_optional=id(node) in tried))
    return found, behind


def assigned(nodes: Nodes, behind: Mapping[str, str]) -> dict[str, str]:
    """Return ``behind`` with what is assigned from what is imported: ``app = modal.App()`` is ``modal.App()``."""
    known = dict(behind)
    roots = {one.partition(".")[0] for one in behind.values()}
    for node in nodes:
        match node:
            case ast.Assign(targets=[ast.Name(id=target)], value=ast.Call() | ast.Attribute() as value):
                name = whole_name(value, known)
                if name.partition(".")[0].removesuffix("()") in roots:
                    known.setdefault(target, name)
            case ast.withitem(context_expr=ast.Call() as value, optional_vars=ast.Name(id=target)):
                name = whole_name(value, known)
                if name.partition(".")[0] in roots:
                    known.setdefault(target, name)
    return known


def whole_name(node: ast.expr, behind: Mapping[str, str]) -> str:
    """Return the whole name of an expression; empty for what has none."""
    parts: list[str] = []
    while True:
        match node:
            case ast.Attribute(value=inner, attr=attribute):
                parts.append(attribute)
                node = inner
            case ast.Call(func=inner):
                parts.append("()")
                node = inner
            case ast.Name(id=name):
                parts.append(behind.get(name, name))
                break
            case _:
                parts.append("")
                break
    return ".".join(reversed(parts)).replace(".()", "()")


def _tried(nodes: Nodes) -> Iterator[int]:
    """Yield the ids of statements whose ImportError is caught."""
    for node in nodes:
        if not isinstance(node, ast.Try):
            continue
        caught = {
            name.id if isinstance(name, ast.Name) else ""
            for handler in node.handlers
            for name in (handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type])
        }
        if caught & CAUGHT or any(handler.type is None for handler in node.handlers):
            yield from (id(inner) for statement in node.body for inner in ast.walk(statement))
