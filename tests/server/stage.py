"""A server in this process on a fake world, with people in it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette

from tradewind import wire
from tradewind.config import Settings
from tradewind.engine.shared import Shared
from tradewind.model.cluster import ClusterSpec, Lifetimes, Scaling
from tradewind.model.people import EVERY_SCOPE, MemberRole, Scope, Token, User, Workspace
from tradewind.providers.base import ProviderSettings
from tradewind.providers.fake import FakeProvider, FakeWorld
from tradewind.providers.registry import open_provider
from tradewind.server.app import create_app
from tradewind.store.access.audit import By

API = "/api/v1"
LONG = Lifetimes(idle=timedelta(days=1), no_client=timedelta(days=1))


@dataclass(slots=True, kw_only=True)
class Stage:
    """One replica. Tokens of people are their names, padded."""

    shared: Shared
    world: FakeWorld
    app: Starlette
    users: dict[str, User] = field(default_factory=dict)
    review: str = ""
    """Id of one that is asked about."""

    @classmethod
    async def open(cls, directory: Path, settings: Settings | None = None) -> Stage:
        """Return one without people."""
        settings = settings or Settings()
        settings = replace(settings, serve=replace(settings.serve, providers=("fake",)))
        given = ProviderSettings(installation="any", state_directory=str(directory), options=asdict(settings.fake))
        provider = open_provider("fake", given)
        assert isinstance(provider, FakeProvider)
        world = provider._world
        shared = await Shared.open(settings, directory, link=world.agents)
        return cls(shared=shared, world=world, app=create_app(shared.assembly, settings))

    async def user(self, name: str, *, is_operator: bool = False) -> User:
        """Add somebody, with a token that is good for everything."""
        now = self.shared.assembly.clock.now()
        user = User(id=f"u-{name}", name=name, is_operator=is_operator, created_at=now)
        self.users[name] = await self.people.create_user(user, By(user="test", at=now))
        await self.token(name)
        return user

    async def workspace(self, name: str, members: Mapping[str, MemberRole], *, agreed: tuple[str, ...] = ()) -> None:
        """Add a workspace; its first owner is made with it."""
        now = self.shared.assembly.clock.now()
        by = By(user="test", at=now)
        for user in members:
            if user not in self.users:
                await self.user(user)
        owner = next(user for user, role in members.items() if role is MemberRole.OWNER)
        await self.people.create_workspace(Workspace(name=name, created_at=now), self.users[owner], by)
        for user, role in members.items():
            if user != owner:
                await self.people.join(name, self.users[user], role, by)
        for user in agreed:
            await self.people.agree_to_mentoring(name, self.users[user].id, True, by)

    async def token(
        self,
        user: str,
        label: str = "",
        *,
        scopes: frozenset[Scope] = EVERY_SCOPE,
        workspace: str | None = None,
        life: timedelta | None = None,
    ) -> str:
        """Give somebody one more token; return its text."""
        now = self.shared.assembly.clock.now()
        text = token_of(user, label)
        token = Token(
            id=f"t-{user}-{label}",
            user_id=self.users[user].id,
            label=label,
            scopes=scopes,
            workspace=workspace,
            created_at=now - timedelta(days=1),
            expires_at=now + life if life is not None else None,
        )
        await self.people.create_token(token, hashlib.sha256(text.encode()).hexdigest(), By(user=user, at=now))
        return text

    @property
    def people(self) -> Any:
        """The store's door for people."""
        return self.shared.assembly.store.people

    def client(self, user: str | None = None, label: str = "", address: str = "203.0.113.7") -> httpx.AsyncClient:
        """Return somebody's client, or a stranger's."""
        headers = {"Authorization": f"Bearer {token_of(user, label)}"} if user is not None else {}
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False, client=(address, 4711))
        return httpx.AsyncClient(transport=transport, base_url="https://tradewind.test", headers=headers, timeout=20)

    async def aclose(self) -> None:
        """End it."""
        self.app.state.ending.set()
        await self.shared.aclose()


def token_of(user: str, label: str = "") -> str:
    """Return the text of somebody's token."""
    return "tw_" + f"{user}-{label}".ljust(43, "0")[:43]


def spec(name: str = "c1", workspace: str = "lab", **changes: Any) -> ClusterSpec:
    """Return a small cluster's."""
    base = ClusterSpec(name=name, workspace=workspace, provider="fake", scaling=Scaling.fixed(2), lifetimes=LONG)
    return replace(base, **changes)


def new(name: str = "c1", workspace: str = "lab", **changes: Any) -> dict[str, Any]:
    """Return the body that asks for a cluster."""
    return {"spec": wire.dump(spec(name, workspace, **changes))}
