"""What all pages have in common: one template around, one way to read a form, one way to say no."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tradewind.errors import BadRequest, SignInNeeded, TradewindError
from tradewind.model.people import Signed
from tradewind.server import auth, body, problems
from tradewind.server.context import request_id
from tradewind.server.pages.template import render
from tradewind.server.sessions import refuse_strangers

Page = Callable[[Request], Awaitable[Response]]

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may do: nothing of anybody else's, and no script or style that stands in the page itself."""
FORM = "application/x-www-form-urlencoded"
MOST_FIELDS = 50
STATIC = {
    "style.css": "text/css; charset=utf-8",
    "advice.css": "text/css; charset=utf-8",
    "secret.js": "text/javascript; charset=utf-8",
    "live.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


def show(
    request: Request, template: str, *, status: int = 200, signed: Signed | None = None, **values: Any
) -> Response:
    """Return a page.

    Parameters
    ----------
    request : Request
        That asked for it.
    template : str
        Its file in ``templates``.
    status : int
        Of the answer.
    signed : Signed, optional
        Who is signed in, for the line at the top.
    **values
        What the template shows; all of it is escaped.
    """
    text = render(
        template,
        signed=signed,
        settings=request.app.state.settings,
        public_url=request.app.state.public_url,
        **values,
    )
    return Response(text, status, headers={"Content-Security-Policy": POLICY}, media_type="text/html")


def go(path: str) -> Response:
    """Return an answer that leads to another page of ours."""
    return RedirectResponse(path, 303)


def page(answer: Page) -> Page:
    """Let what a page raises be told as a page, and who isn't signed in do that first."""

    @functools.wraps(answer)
    async def told(request: Request) -> Response:
        try:
            if request.method == "POST":
                refuse_strangers(request)
            return await answer(request)
        except SignInNeeded as error:
            if request.method == "GET" and not request.url.path.startswith("/sign-in"):
                query = f"?{request.url.query}" if request.url.query else ""
                return go(f"/sign-in?next={quote(request.url.path + query)}")
            return _error(request, 401, str(error))
        except TradewindError as error:
            return _error(request, problems.status_of(type(error)), str(error))
        except HTTPException as error:
            return _error(request, error.status_code, error.detail)

    return told


async def signed_or_none(request: Request) -> Signed | None:
    """Return who is signed in, if anybody is."""
    try:
        return await auth.signed_in(request)
    except SignInNeeded:
        return None


async def form(request: Request) -> Mapping[str, str]:
    """Return the fields of a form that was sent; of several of one name, all, with commas. Raises BadRequest."""
    raw = await body.read(request, FORM)
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError:
        raise BadRequest("this form can't be read; fill it in again") from None
    fields: dict[str, str] = {}
    for name, value in pairs:
        fields[name] = f"{fields[name]},{value}" if name in fields else value
    return fields


async def static(request: Request) -> Response:
    """Return a style or a script."""
    name = request.path_params["name"]
    if name not in STATIC:
        raise HTTPException(404)
    return Response(_static(name), media_type=STATIC[name], headers={"Cache-Control": "public, max-age=3600"})


@functools.cache
def _static(name: str) -> bytes:
    return resources.files("tradewind.server.pages").joinpath("static", name).read_bytes()


def _error(request: Request, status: int, words: str) -> Response:
    return show(request, "error.html", status=status, words=words, number=request_id())
