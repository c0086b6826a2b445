"""The OpenAPI document, made from the table of operations and the model's own types."""

from __future__ import annotations

import dataclasses
import html
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tradewind import __version__, wire
from tradewind.model.exchange import Problem
from tradewind.server import problems
from tradewind.server.operation import PREFIX, Door, Operation, parameters

SCHEMAS = "#/components/schemas/{name}"


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document."""
    kinds: list[Any] = [Problem]
    for operation in operations:
        kinds += [kind for kind in (operation.body, operation.answer, operation.query) if kind is not None]
    found, named = wire.schemas(kinds, SCHEMAS)
    schema_of = dict(zip(map(repr, kinds), found, strict=True))
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation, schema_of, named)
    queries = {_name(schema_of[repr(o.query)]) for o in operations if o.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tradewind",
            "version": __version__,
            "description": "Ephemeral Dask clusters that are metered, recorded and end by themselves.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in named.items() if name not in queries},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def statuses(operation: Operation) -> frozenset[int]:
    """Return every status an operation may answer with, its success left out."""
    found = {429, 500, 503, *(problems.status_of(kind) for kind in operation.problems)}
    if operation.door is not Door.OPEN:
        found |= {401, 403}
    if operation.door is Door.MEMBER:
        found.add(404)
    if operation.query is not None or operation.body is not None or parameters(operation.path):
        found.add(400)
    if operation.body is not None:
        found |= {408, 413, 415}
    if operation.is_create:
        found |= {400, 409}
    return frozenset(found)


def _operation(operation: Operation, schema_of: dict[str, Any], named: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": operation.name,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": [*_path_parameters(operation), *_query_parameters(operation, schema_of, named)],
        "responses": {str(operation.status): _success(operation, schema_of)},
    }
    for status in operation.also:
        said["responses"][str(status)] = {"description": HTTPStatus(status).phrase}
    for status in sorted(statuses(operation)):
        said["responses"][str(status)] = {
            "description": HTTPStatus(status).phrase,
            "content": {problems.MEDIA_TYPE: {"schema": schema_of[repr(Problem)]}},
        }
    if operation.body is not None:
        content = {"application/json": {"schema": schema_of[repr(operation.body)]}}
        said["requestBody"] = {"required": True, "content": content}
    if operation.is_create:
        said["parameters"].append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Makes asking twice create once: the first answer is given again, for a day.",
                "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
            }
        )
    if operation.door is not Door.OPEN:
        said["security"] = [{"token": []}]
    return said


def _success(operation: Operation, schema_of: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer is not None:
        is_raw = operation.answer in {bytes, str}
        schema = {} if is_raw else schema_of[repr(operation.answer)]
        said["content"] = {kind: {"schema": schema} for kind in operation.media_type.split(", ")}
    return said


def _path_parameters(operation: Operation) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in parameters(operation.path)
    ]


def _query_parameters(operation: Operation, schema_of: dict[str, Any], named: dict[str, Any]) -> list[dict[str, Any]]:
    if operation.query is None:
        return []
    schema = named[_name(schema_of[repr(operation.query)])]
    required = set(schema.get("required", ()))
    return [
        {"name": field.name, "in": "query", "required": field.name in required, "schema": _texts(said)}
        for field in dataclasses.fields(operation.query)
        for said in (schema["properties"][field.name],)
    ]


def _name(schema: dict[str, Any]) -> str:
    """Return what a schema that stands elsewhere is called there."""
    return str(schema["$ref"]).rsplit("/", 1)[1]


def _texts(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter without null: a query string has no such thing, one leaves it out."""
    options = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    rest = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
    default = {"default": schema["default"]} if schema.get("default") is not None else {}
    return {**rest, **(options[0] if options else {}), **default}


async def as_json(request: Request) -> Response:
    """Return the document."""
    return Response(json.dumps(request.app.state.openapi), media_type="application/json")


async def as_page(request: Request) -> Response:
    """Return the document for people: one page that fetches nothing from anywhere."""
    rows = []
    for path, methods in request.app.state.openapi["paths"].items():
        for method, said in methods.items():
            asks = ", ".join(each["name"] for each in said["parameters"] if each["in"] == "query")
            fields = [
                f"<code><b>{method.upper()}</b> {html.escape(path)}</code>",
                html.escape(said["summary"]),
                html.escape(asks),
                ", ".join(status for status in said["responses"] if status < "300"),
            ]
            rows.append("<tr>" + "".join(f"<td>{field}</td>" for field in fields) + "</tr>")
    page = _PAGE.replace("{rows}", "\n".join(rows)).replace("{document}", PREFIX + "/openapi.json")
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
    return Response(page, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": policy})


PLACES: dict[str, Callable[[Request], Awaitable[Response]]] = {PREFIX + "/openapi.json": as_json, "/api": as_page}

_PAGE = re.sub(
    r"\n +",
    "\n",
    """<!doctype html>
    <html lang="en">
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <title>Tradewind API</title>
    <style>
    :root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.4 }
    body { margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
    table { border-collapse: collapse; width: 100% }
    td, th { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid #8884 }
    code { overflow-wrap: anywhere }
    </style>
    <h1>Tradewind API</h1>
    <p>Sign in with <code>Authorization: Bearer tw_…</code>. Errors are problems (RFC 9457), lists are pages with a
    cursor, creates take an <code>Idempotency-Key</code>. The whole in OpenAPI: <a href="{document}">{document}</a>.</p>
    <table><tr><th>Ask<th>What it does<th>Parameters<th>Answer</tr>
    {rows}
    </table>
    </html>
    """,
)
