"""What people ask of named environments."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import replace

from tradewind.engine.access.asker import Asker
from tradewind.engine.clock import Clock
from tradewind.errors import BadRequest, NotFound
from tradewind.model.environment import Environment, seal
from tradewind.model.exchange import MadeEnvironment, NewEnvironment
from tradewind.model.named import EnvironmentVersion, NamedEnvironment, content_of
from tradewind.planning.access import Action
from tradewind.planning.addresses import check_addresses
from tradewind.planning.names import environment_name, image_name, short_text
from tradewind.planning.wishes import check_keepable, check_software
from tradewind.store.access.audit import By
from tradewind.store.idempotency import Once
from tradewind.store.store import Store

MOST_PLATFORMS = 8
MOST_PACKAGES = 5000
LAST = 10**9
"""Version."""
NEEDED = "distributed"
"""Without it no scheduler and no worker starts."""
_PLATFORM = re.compile(r"[a-z0-9]+-[a-z0-9_]+\Z")
_PYTHON = re.compile(r"3\.[0-9]{1,3}(\.[0-9]{1,3}[a-z0-9+]*)?\Z")


class Environments:
    """Answers who is allowed to ask. It keeps values and runs nothing: whoever makes one has locked it already."""

    def __init__(self, store: Store, clock: Clock, asker: Asker) -> None:
        self._store = store
        self._clock = clock
        self._asker = asker

    async def environments(self, name: str | None = None) -> Sequence[EnvironmentVersion]:
        """Return the newest version of each, or with ``name`` all of it, the newest first. Raises NotFound."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        if name is None:
            return await self._store.environments.newest(self._asker.workspace)
        return await self._store.environments.versions(self._asker.workspace, _possible(name))

    async def environment(self, name: str, version: int | None = None) -> NamedEnvironment:
        """Return a version, or with None the newest. Raises NotFound."""
        self._asker.refuse_unless(Action.SEE_WORKSPACE)
        return await self._store.environments.get(self._asker.workspace, _possible(name, version), version)

    async def create_environment(self, wanted: NewEnvironment, *, once: Once | None = None) -> MadeEnvironment:
        """Give software a name, asked for ``once``; the content that the newest version has makes no new one.

        Raises
        ------
        BadRequest
            It can't be used: names the field, the fact, and what to do.
        Forbidden
            This caller may not.
        """
        self._asker.refuse_unless(Action.CREATE_ENVIRONMENT)
        # Eight platforms of a thousand packages are a tenth of a second and more, in which nobody else got an answer.
        named = await asyncio.to_thread(self._checked, wanted)
        return await self._store.environments.add(named, self._by(), once)

    async def delete_environment(self, name: str, version: int | None = None) -> None:
        """Delete a version, or with None all of it. Raises NotFound; NameTaken while live clusters run it."""
        self._asker.refuse_unless(Action.DELETE_ENVIRONMENT)
        name, now = _possible(name, version), self._clock.now()
        await self._store.environments.delete(self._asker.workspace, name, version, now, self._by())

    def _checked(self, wanted: NewEnvironment) -> NamedEnvironment:
        """Return what is to be kept, its version still open. Raises BadRequest."""
        check_keepable(wanted)
        name = environment_name(wanted.name)
        environments = tuple(as_ours(one) for one in wanted.environments)
        image = image_name(wanted.image) if wanted.image else ""
        _check(name, environments, image)
        if self._asker.is_from_afar:
            _refuse_files(name, environments)
        return NamedEnvironment(
            workspace=self._asker.workspace,
            name=name,
            version=0,
            created_at=self._clock.now(),
            created_by=self._asker.caller.user,
            content_hash=content_of(environments, image),
            environments=environments,
            image=image,
            source=short_text(wanted.source, "the file's name"),
            note=short_text(wanted.note, "the note"),
        )

    def _by(self) -> By | None:
        """Return whose hand it is for the audit log; None for an engine of one's own: there is nobody to ask."""
        return self._asker.by() if self._asker.is_from_afar else None


def as_ours(environment: Environment) -> Environment:
    """Return what somebody sent as it is kept: its hash is a place on machines and in archives, so it is reckoned here.

    Only what was stored under a name has one.
    """
    return seal(replace(environment, name=""))


def _possible(name: str, version: int | None = None) -> str:
    """Return ``name``. Raises NotFound for what no environment and no version can be, and no database be asked."""
    try:
        environment_name(name)
    except BadRequest as error:
        raise NotFound(f"there is no such environment: {error}") from None
    if version is not None and not 1 <= version <= LAST:
        raise NotFound(f"there is no version {version} of {name}: they count from 1")
    return name


def _check(name: str, environments: Sequence[Environment], image: str) -> None:
    if bool(image) == bool(environments):
        raise BadRequest(f"the environment {name!r} is either of packages or an image: give one of the two")
    if len(environments) > MOST_PLATFORMS:
        raise BadRequest(f"an environment has at most {MOST_PLATFORMS} platforms; these are {len(environments)}")
    platforms = [one.platform for one in environments]
    for one in environments:
        if not _PLATFORM.match(one.platform) or platforms.count(one.platform) > 1:
            raise BadRequest(
                f"the platform {one.platform[:60]!r} can't be used: write each once, as linux-x86_64 or linux-aarch64"
            )
        if not _PYTHON.match(one.python):
            raise BadRequest(f"{one.python[:60]!r} is no version of Python; write it as 3.11")
        if len(one.packages) > MOST_PACKAGES:
            raise BadRequest(f"an environment has at most {MOST_PACKAGES} packages; this has {len(one.packages)}")
        if not any(package.name == NEEDED for package in one.packages):
            raise BadRequest(
                f"the environment {name!r} has no {NEEDED} for {one.platform}, and without it no worker starts: "
                f"add dask and {NEEDED} to what it is made from"
            )
        check_addresses(one)
        check_software(one, is_from_afar=False)


def _refuse_files(name: str, environments: Sequence[Environment]) -> None:
    files = sorted({artifact.file_name for one in environments for artifact in one.artifacts})
    if files:
        named = f"{', '.join(files[:5])}{f' and {len(files) - 5} more' if len(files) > 5 else ''}"
        raise BadRequest(
            f"the environment {name!r} needs files that only your computer has ({named}), and this server keeps none: "
            "put those projects on a package index, or leave them out with --without-local"
        )
