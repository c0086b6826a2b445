"""Python, read and never run: what it imports, calls, decorates and writes out."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from tradewind.advisor.freedom.finding import Address, Document, Finding, Looked, Place, Unread, Use
from tradewind.advisor.freedom.names import Imported, Nodes, assigned, imports_of, whole_name
from tradewind.advisor.freedom.rules import Freedoms
from tradewind.advisor.freedom.texts import look_at_string

ENDPOINTS = frozenset({"endpoint_url", "endpoint_override", "endpoint"})
"""Keywords after which ``s3://`` may be anybody's."""
LOOKED_AT = (ast.Call, ast.Dict, ast.FunctionDef, ast.AsyncFunctionDef, ast.Attribute, ast.JoinedStr, ast.Constant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Code that stands together: a module, or a cell of a notebook."""

    text: str
    cell: int = 0


@dataclass(slots=True, kw_only=True)
class _Found:
    findings: list[Finding] = field(default_factory=list)
    uses: list[Use] = field(default_factory=list)
    addresses: list[Address] = field(default_factory=list)
    units: list[frozenset[str]] = field(default_factory=list)
    unread: list[Unread] = field(default_factory=list)
    has_endpoint: bool = False


def look_at_module(document: Document, freedoms: Freedoms) -> Looked:
    """Return what is found in a file of Python."""
    return look_at_pieces(document.path, [Piece(text=document.text)], freedoms)


def look_at_pieces(path: str, pieces: list[Piece], freedoms: Freedoms) -> Looked:
    """Return what is found in code whose pieces share their names, as the cells of a notebook do."""
    found = _Found()
    behind: dict[str, str] = {}
    for piece in pieces:
        where = Place(path=path, cell=piece.cell)
        tree = _parsed(piece, where, found)
        if tree is None:
            continue
        nodes = list(ast.walk(tree))
        imported, new = imports_of(nodes)
        behind |= new
        behind = assigned(nodes, behind)
        _look_at_imports(imported, where, freedoms, found)
        _look_at_nodes(nodes, where, behind, freedoms, found)
    if found.has_endpoint:
        found.addresses = [_anywhere(address) for address in found.addresses]
    return Looked(
        findings=tuple(found.findings),
        uses=tuple(found.uses),
        addresses=tuple(found.addresses),
        units=tuple(found.units),
        unread=tuple(found.unread),
    )


def parse(text: str) -> ast.Module:
    """Return a tree of Python as notebooks have it, with ``await`` at the top.

    Raises
    ------
    SyntaxError
        It isn't Python of this version, or is nested deeper than can be read.
    """
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in other people's strings
        try:
            tree = compile(text, "<project>", "exec", flags, dont_inherit=True)
        except (ValueError, RecursionError, MemoryError, OverflowError) as error:
            raise SyntaxError(str(error) or "it is nested too deeply") from None
    assert isinstance(tree, ast.Module)
    return tree


def _parsed(piece: Piece, where: Place, found: _Found) -> ast.Module | None:
    try:
        return parse(piece.text)
    except SyntaxError as error:
        place = Place(path=where.path, cell=where.cell, line=error.lineno or 1)
        found.unread.append(Unread(path=str(place), why=f"this isn't Python that can be read: {error.msg}"))
        return None


def _look_at_imports(imported: list[Imported], where: Place, freedoms: Freedoms, found: _Found) -> None:
    for one in imported:
        place = Place(path=where.path, cell=where.cell, line=one.line)
        for client in freedoms.clients.values():
            if client.has_module(one.name):
                use = Use(client=client.id, place=place, is_declared=False, is_optional=one.is_optional)
                found.uses.append(use)
        for rule in freedoms.imports:
            known = next((name for name in rule.names if f"{one.name}.".startswith(f"{name}.")), None)
            if known is not None:
                found.findings.append(Finding(rule=rule.rule, what=known, place=place))


def _look_at_nodes(nodes: Nodes, where: Place, behind: dict[str, str], freedoms: Freedoms, found: _Found) -> None:
    platforms: set[str] = set()
    documented = set(_docstrings(nodes))
    joined: set[int] = set()
    for node in nodes:
        if not isinstance(node, LOOKED_AT):
            continue
        place = Place(path=where.path, cell=where.cell, line=getattr(node, "lineno", 1))
        match node:
            case ast.Call(func=function, keywords=keywords):
                name = whole_name(function, behind)
                found.findings.extend(
                    Finding(rule=rule.rule, what=name, place=place) for rule in freedoms.calls if rule.holds(name)
                )
                platforms.update(_platforms(name, freedoms))
                for keyword in keywords:
                    _look_at_keyword(keyword.arg or "", keyword.value, place, freedoms, found)
            case ast.Dict(keys=keys, values=values):
                for key, value in zip(keys, values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(key.value, str):
                        _look_at_keyword(key.value, value, place, freedoms, found)
            case ast.FunctionDef(decorator_list=decorators) | ast.AsyncFunctionDef(decorator_list=decorators):
                for decorator in decorators:
                    name = whole_name(decorator, behind)
                    bare = name.removesuffix("()")
                    found.findings.extend(
                        Finding(
                            rule=rule.rule,
                            what=bare,
                            place=Place(path=where.path, cell=where.cell, line=decorator.lineno),
                        )
                        for rule in freedoms.decorators
                        if rule.holds(bare)
                    )
            case ast.Attribute():
                platforms.update(_platforms(whole_name(node, behind), freedoms))
            case ast.JoinedStr(values=values):
                joined.update(map(id, values))
                parts = (part.value if isinstance(part, ast.Constant) else "{}" for part in values)
                _look_at_text("".join(map(str, parts)), place, freedoms, found)
            case ast.Constant(value=str(text)) if id(node) not in documented and id(node) not in joined:
                _look_at_text(text, place, freedoms, found)
    found.units.append(frozenset(platforms))


def _look_at_keyword(name: str, value: ast.expr, place: Place, freedoms: Freedoms, found: _Found) -> None:
    found.has_endpoint |= name in ENDPOINTS
    if isinstance(value, ast.Constant) and value.value in {False, None}:
        return
    found.findings.extend(
        Finding(rule=rule.rule, what=name, place=place) for rule in freedoms.keywords if rule.holds(name)
    )


def _look_at_text(text: str, place: Place, freedoms: Freedoms, found: _Found) -> None:
    looked = look_at_string(text, place, freedoms)
    found.findings.extend(looked.findings)
    found.addresses.extend(looked.addresses)


def _platforms(name: str, freedoms: Freedoms) -> Iterator[str]:
    for client in freedoms.clients.values():
        if any(name.startswith(pattern.removesuffix("*")) for pattern in client.platform):
            yield client.id


def _docstrings(nodes: Nodes) -> Iterator[int]:
    """Yield the ids of strings that stand alone: they tell, and do nothing."""
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield id(node.value)


def _anywhere(address: Address) -> Address:
    """Return an address of a module that names an endpoint of its own: ``s3://`` is then spoken by many."""
    if address.cloud != "aws" or address.region:
        return address
    return Address(cloud="", bucket=address.bucket, region="", place=address.place)
