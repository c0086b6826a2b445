"""Signing in, for programs: confirmed in a browser, vouched for by a JupyterHub, or with a link that makes a user."""

from __future__ import annotations

from starlette.responses import Response

from tradewind.errors import BadRequest, Forbidden, NameTaken, NotFound, SignInNeeded, Unavailable
from tradewind.model.joining import HubToken, LoginToken, Newcomer, PendingLogin, Poll, Welcomed
from tradewind.model.people import User
from tradewind.server import jupyterhub
from tradewind.server.operation import Asked, Door, Nothing, Table

table = Table("logins")
POLL_S = 2
"""Seconds that a program waits before it asks again."""


@table.on("POST", "/logins", answer=PendingLogin, door=Door.OPEN, status=201)
async def begin(asked: Asked[Nothing, Nothing]) -> PendingLogin:
    """Begin a program's sign-in, which somebody confirms in a browser within ten minutes."""
    login = await asked.assembly.people.begin_login()
    return PendingLogin(
        code=login.code,
        secret=login.secret.reveal(),
        url=f"{asked.request.app.state.public_url}/logins/{login.request}",
        expires_at=login.expires_at,
    )


@table.on("POST", "/logins/poll", body=Poll, answer=LoginToken, door=Door.OPEN, also=(202,), problems=(BadRequest,))
async def poll(asked: Asked[Poll, Nothing]) -> LoginToken | Response:
    """Ask whether somebody confirmed: 202 is not yet."""
    token = await asked.assembly.people.poll_login(asked.body.secret)
    if token is None:
        return Response(status_code=202, headers={"Retry-After": str(POLL_S)})
    return LoginToken(token=token.reveal())


@table.on(
    "POST",
    "/logins/jupyterhub",
    body=HubToken,
    answer=LoginToken,
    door=Door.OPEN,
    problems=(BadRequest, SignInNeeded, Forbidden, NotFound, Unavailable),
)
async def with_hub(asked: Asked[HubToken, Nothing]) -> LoginToken:
    """Exchange a notebook's token for one of ours that lasts twelve hours."""
    settings = asked.request.app.state.settings.jupyterhub
    people = asked.assembly.people
    arrival = await jupyterhub.vouched(settings, asked.body.token)
    user = await people.arrive(arrival, joins=settings.workspace)
    lent = await people.lend(user, f"JupyterHub {arrival.subject}"[:200], arrival.issuer)
    return LoginToken(token=lent.reveal())


@table.on(
    "POST",
    "/claim",
    body=Newcomer,
    answer=Welcomed,
    door=Door.OPEN,
    status=201,
    problems=(BadRequest, Forbidden),
)
async def claim(asked: Asked[Newcomer, Nothing]) -> Welcomed:
    """Become the server's first user, by the link that it printed when it started."""
    new = asked.body
    user, token = await asked.assembly.people.claim(new.secret, new.name, new.email)
    return await _welcomed(asked, user, token.reveal())


@table.on(
    "POST",
    "/invitations/sign-up",
    body=Newcomer,
    answer=Welcomed,
    door=Door.OPEN,
    status=201,
    problems=(BadRequest, SignInNeeded, NotFound, NameTaken),
)
async def sign_up(asked: Asked[Newcomer, Nothing]) -> Welcomed:
    """Become a user and a member by an invitation alone, where no OpenID provider says who somebody is."""
    new = asked.body
    user, token = await asked.assembly.people.sign_up(new.secret, new.name, new.email)
    return await _welcomed(asked, user, token.reveal())


async def _welcomed(asked: Asked[Newcomer, Nothing], user: User, token: str) -> Welcomed:
    return Welcomed(user=user, memberships=await asked.assembly.store.people.memberships(user.id), token=token)
