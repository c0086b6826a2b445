"""Named environments of a workspace over HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from tradewind.errors import BadRequest, NameTaken, NotFound
from tradewind.model.exchange import MadeEnvironment, NewEnvironment, Page
from tradewind.model.named import EnvironmentVersion, NamedEnvironment
from tradewind.server.operation import Asked, Nothing, Table
from tradewind.store.environments import MOST_BYTES

table = Table("environments")
ALL = "/workspaces/{workspace}/environments"
ONE = ALL + "/{environment}"
BESIDE = 64 * 1024
"""Bytes of a new version that aren't its packages: its name, its note and where it came from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Which lines."""

    name: str | None = None
    """All versions of this one; left out, the newest of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """Which version."""

    version: int | None = None


@table.on("GET", ALL, query=Named, answer=Page[EnvironmentVersion], problems=(NotFound,))
async def list_all(asked: Asked[Nothing, Named]) -> Page[EnvironmentVersion]:
    """List the newest version of each named environment, or all versions of one."""
    return Page(items=tuple(await asked.verbs.environments.environments(asked.query.name)))


@table.on(
    "POST",
    ALL,
    body=NewEnvironment,
    answer=MadeEnvironment,
    status=201,
    is_create=True,
    problems=(BadRequest,),
    body_limit=MOST_BYTES + BESIDE,
)
async def create(asked: Asked[NewEnvironment, Nothing]) -> MadeEnvironment:
    """Give software a name; another content of a name that is there is its next version."""
    return await asked.verbs.environments.create_environment(asked.body, once=asked.once)


@table.on("GET", ONE, query=Version, answer=NamedEnvironment, problems=(NotFound,))
async def show(asked: Asked[Nothing, Version]) -> NamedEnvironment:
    """Return a version with its packages; left out, the newest."""
    return await asked.verbs.environments.environment(asked.path("environment"), asked.query.version)


@table.on("DELETE", ONE, query=Version, problems=(NotFound, NameTaken))
async def remove(asked: Asked[Nothing, Version]) -> None:
    """Delete a version that no live cluster runs; left out, all of them."""
    await asked.verbs.environments.delete_environment(asked.path("environment"), asked.query.version)
