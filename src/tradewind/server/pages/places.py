"""Where each page stands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from tradewind.server.pages import advice, overview, own, signing
from tradewind.server.pages.frame import static

Answer = Callable[[Request], Awaitable[Response]]
READ, WRITE, BOTH = ("GET",), ("POST",), ("GET", "POST")

_PLACES: Mapping[str, tuple[Answer, tuple[str, ...]]] = {
    "/": (own.home, READ),
    "/welcome": (signing.welcome, BOTH),
    "/sign-in": (signing.sign_in, BOTH),
    signing.LINK: (signing.sign_in_by_link, BOTH),
    "/sign-in/oidc": (signing.depart, BOTH),
    signing.CALLBACK: (signing.arrive, READ),
    "/sign-out": (signing.sign_out, WRITE),
    "/invitations/accept": (signing.invited, BOTH),
    "/logins/{request}": (signing.confirm, BOTH),
    "/settings": (own.settings, READ),
    "/settings/tokens": (own.create_token, WRITE),
    "/settings/tokens/{token}/revoke": (own.revoke_token, WRITE),
    "/settings/mentoring": (own.agree, WRITE),
    "/workspaces": (own.create_workspace, WRITE),
    "/workspaces/{workspace}": (overview.overview, READ),
    "/workspaces/{workspace}/now": (overview.now, READ),
    "/workspaces/{workspace}/clusters/{cluster}": (overview.cluster, READ),
    "/workspaces/{workspace}/clusters/{cluster}/stop": (overview.stop, WRITE),
    "/workspaces/{workspace}/budgets": (overview.limit, WRITE),
    "/workspaces/{workspace}/people": (own.workspace, READ),
    "/workspaces/{workspace}/invitations": (own.invite, WRITE),
    "/workspaces/{workspace}/invitations/{invitation}/withdraw": (own.withdraw, WRITE),
    "/workspaces/{workspace}/members/{user}": (own.change_member, WRITE),
    "/advise": (advice.advise, READ),
    "/advise/answer": (advice.answer, READ),
    "/partners": (advice.partners, READ),
    "/partners/compare": (advice.compare, READ),
    "/partners/{partner}": (advice.partner, READ),
    "/static/{name}": (static, READ),
}


def _at(path: str, answer: Answer) -> Answer:
    async def answered(request: Request) -> Response:
        # For the log and the figures: names and secrets that stand in addresses don't belong there.
        request.scope["tradewind.path"] = path
        return await answer(request)

    return answered


PLACES = {path: (_at(path, answer), methods) for path, (answer, methods) in _PLACES.items()}
"""Each page's address, what answers there, and to which methods."""
