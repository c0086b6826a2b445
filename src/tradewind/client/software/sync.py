"""``cluster.sync_environment()``: a running cluster gets the caller's code, and his packages, as they are now."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from tradewind.boot.environment.capture import capture
from tradewind.client.door import Place, is_near, must_stream
from tradewind.client.session import Session
from tradewind.client.software.renewal import renew, until_renewed
from tradewind.errors import BadRequest, SyncError
from tradewind.model.environment import OF_THE_CALLER, Confidence, Difference, Environment, Package, Source, seal

if TYPE_CHECKING:
    from tradewind.client.software.code import Code, Held

log = logging.getLogger("tradewind")

OF_THE_SCHEDULER = frozenset({"dask", "distributed", "cloudpickle", "msgpack", "tornado", "tradewind"})
"""What all processes of a cluster must have alike, since they talk to each other by it."""
BY_ADDRESS = frozenset({Source.VCS, Source.ARCHIVE})
COMPILED = (".so", ".pyd", ".dylib")
SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """What :meth:`tradewind.Cluster.sync_environment` did."""

    files: tuple[str, ...] = ()
    """Of your code, that the cluster had otherwise or not at all, as ``package/module.py``; removed ones too."""
    reloaded: tuple[str, ...] = ()
    """Modules that were loaded somewhere, and are loaded anew when a task next imports them."""
    size: int = 0
    """Bytes that travelled; 0 where the cluster reads your directories."""
    workers: int = 0
    """That have the code."""
    differences: tuple[Difference, ...] = ()
    """Packages that had changed: ``there`` is what the cluster had."""
    restarted: tuple[str, ...] = ()
    """Names of the workers that were replaced, a few at a time."""
    seconds: float = 0.0

    def __str__(self) -> str:
        """Return it in a few words."""
        if not self.files and not self.restarted:
            return "Nothing has changed; the cluster has your code and your packages as they are."
        parts = []
        if self.files:
            names = ", ".join(self.files[:SHOWN]) + (
                f" and {len(self.files) - SHOWN} more" if self.files[SHOWN:] else ""
            )
            parts.append(f"{self.workers} workers import {names} anew ({self.size / 2**20:.1f} MiB sent)")
        if self.differences:
            changes = [f"{one.package} {one.there or 'none'} → {one.here or 'none'}" for one in self.differences]
            more = f" and {len(changes) - SHOWN} more" if changes[SHOWN:] else ""
            parts.append(f"packages changed: {', '.join(changes[:SHOWN])}{more}")
        if self.restarted:
            parts.append(f"{len(self.restarted)} workers were replaced")
        return f"{'; '.join(parts)}; {self.seconds:.1f} s."

    __repr__ = __str__


class Sync:
    """Keeps one cluster's code as the caller has it.

    Parameters
    ----------
    session : Session
        Of the cluster.
    place : Place
        Where it runs.
    """

    def __init__(self, session: Session, place: Place) -> None:
        self._session = session
        self._place = place
        self._by = ""
        self._one_at_a_time = asyncio.Lock()

    async def bring_first(self, scheduler: Any) -> None:
        """Bring what the cluster's machines couldn't be given before: the caller's code, before its first task."""
        environment = self._session.to_bring
        if environment is None or not environment.artifacts:
            return
        from tradewind.client.software import code as codes

        held = await codes.held_by(scheduler)
        code = await asyncio.to_thread(codes.code_to_carry, environment, frozenset())
        change = codes.Change(files=tuple(sorted(code.contents)), tops=frozenset())
        delivered = await self._deliver(scheduler, code, change, held)
        log.info("Cluster %r was sent your code: %.1f MiB.", self._session.record.name, delivered.size / 2**20)

    async def sync(self, line: Callable[[], Any], observed: Callable[[], Collection[str]]) -> Synced:
        """See :meth:`tradewind.Cluster.sync_environment`.

        Parameters
        ----------
        line : callable
            Returns the line to the scheduler.
        observed : callable
            Returns the names of the workers that are connected.
        """
        from tradewind.client.software import code as codes

        async with self._one_at_a_time:
            began, scheduler = time.monotonic(), line()
            await self._session.look()
            record = self._session.record
            held = await codes.held_by(scheduler)
            environment, code = await asyncio.to_thread(self._as_it_is)
            change = await asyncio.to_thread(codes.change_between, code, held, record)
            # Of a cluster with a named environment, that one's packages are what it is to have.
            differences = changed_packages(record.environment, environment) if record.spec.software is None else ()
            refuse_for_scheduler(differences)
            # First what may be refused: nothing has changed until then.
            target = await self._target(environment) if differences else None
            delivered = codes.Delivered(workers=len(observed()))
            # The first time also where nothing is new: from then on contents are compared, and not times.
            if change.files or not held.round or _places(code) != held.places:
                delivered = await self._deliver(scheduler, code, change, held)
            if differences or any(name.endswith(COMPILED) for name in change.files):
                restarted = await renew(self._session, target, compiled=compiled_in(code.contents))
            else:
                restarted = await until_renewed(self._session)  # of a sync that broke off
            return Synced(
                files=change.files,
                reloaded=delivered.reloaded,
                size=delivered.size,
                workers=delivered.workers,
                differences=differences,
                restarted=restarted,
                seconds=round(time.monotonic() - began, 3),
            )

    def _as_it_is(self) -> tuple[Environment, Code]:
        """Return the caller's software as it is now, for the cluster's machines, and his own code in it."""
        from tradewind.client.software import code as codes

        record, view = self._session.record, self._session.view
        if self._sees_files():
            return capture(), codes.code_here(record)
        public = self._place.settings.software.public_indexes
        if record.spec.software is None:
            from tradewind.client.software.ready import anew

            assert view is not None, "it was just looked at"
            # As it was made for the start: for machines of another platform, with the same left out.
            offers = [instance.offer for instance in view.instances]
            environment = anew(capture(), record.spec, record.environment, offers, public)
        else:
            environment = codes.carried_of(capture(), public)
        lies_there = (
            frozenset(one.sha256 for one in record.environment.artifacts) if record.environment else frozenset()
        )
        return environment, codes.code_to_carry(environment, lies_there, is_all=record.spec.software is None)

    async def _target(self, environment: Environment) -> Environment:
        """Return what new workers start with, before they take the caller's code over the line."""
        before = self._session.record.environment
        if before is None or self._sees_files():
            return environment
        target, provider = with_code_of(before, environment), self._session.spec.provider
        if not must_stream(self._place, provider):
            return target
        if not before.artifacts:
            return replace(target, artifacts=())
        from tradewind.client.software.depositing import deposit

        # What the scheduler was started with lies in the depot, and isn't sent to the new ones over the line.
        if not await deposit(self._session.api, provider, target):
            raise SyncError("new workers can't be given your code: it can't be uploaded now. Nothing changed.", ())
        return target

    def _sees_files(self) -> bool:
        """Whether the cluster's processes import from the caller's directories."""
        spec = self._session.spec
        return spec.working_directory is not None and is_near(self._place, self._session.api, spec.provider)

    async def _deliver(self, scheduler: Any, code: Code, change: Any, held: Held) -> Any:
        from tradewind.client.software import code as codes

        self._by = self._by or codes.own_name()
        return await codes.deliver(
            scheduler,
            code,
            change,
            held,
            by=self._by,
            name=self._session.record.name,
            is_newcomer=self._session.attached,
        )


def _places(code: Code) -> tuple[Any, ...]:
    return tuple(place if isinstance(place, str) else asdict(place) for place in code.places)


def compiled_in(contents: Mapping[str, str]) -> str:
    """Return the name of the compiled files among some, given the hash of each; empty where there are none."""
    lines = [f"{name} {digest}\n" for name, digest in sorted(contents.items()) if name.endswith(COMPILED)]
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16] if lines else ""


def changed_packages(before: Environment | None, now: Environment) -> tuple[Difference, ...]:
    """Return the packages that a cluster has otherwise than its caller, sorted; the caller's own code aside.

    Empty where it can't be told: nothing is known of the cluster's, or it is of another platform.
    """
    if before is None or before.platform != now.platform:
        return ()
    if before.python != now.python:
        reason = f"the cluster runs Python {before.python}, and you run {now.python}"
        return (_difference("python", before.python, now.python, reason),)
    there, here = _by_name(before), _by_name(now)
    found = []
    for name in sorted(there.keys() | here.keys()):
        old, new = there.get(name), here.get(name)
        if _what(old) == _what(new):
            continue
        if old is None:
            reason = "it was installed since"
        elif new is None:
            reason = "it was uninstalled since"
        else:
            reason = "another version was installed since" if old.version != new.version else "it is of another source"
        found.append(_difference(name, old.version if old else "", new.version if new else "", reason))
    return tuple(found)


def with_code_of(before: Environment, now: Environment) -> Environment:
    """Return ``now`` with the caller's own code of ``before``.

    So that all processes of a cluster, the scheduler among them, stand on the same code, and what is new comes to all
    in the same way.
    """
    others_before = {one.artifact for one in before.packages if one.source not in OF_THE_CALLER}
    packages = [one for one in now.packages if one.source not in OF_THE_CALLER]
    others = {one.artifact for one in packages if one.artifact}
    packages += [one for one in before.packages if one.source in OF_THE_CALLER]
    artifacts = [one for one in now.artifacts if one.sha256 in others]
    artifacts += [one for one in before.artifacts if one.sha256 not in others_before]
    return seal(
        replace(
            now,
            packages=tuple(sorted(packages, key=lambda one: (one.name, one.source.value))),
            artifacts=tuple(sorted(artifacts, key=lambda one: one.file_name)),
        )
    )


def refuse_for_scheduler(differences: Collection[Difference]) -> None:
    """Raise BadRequest for a change that the scheduler would have to make too: it isn't restarted."""
    for one in differences:
        if one.package == "python" or one.package in OF_THE_SCHEDULER:
            raise BadRequest(
                f"{one.package} is {one.there or 'not there'} on the cluster and {one.here or 'not there'} here, and "
                "its scheduler needs the same: it isn't restarted, since it knows what was computed. Nothing changed. "
                f"Install {one.package} {one.there} again, or close this cluster and start another."
            )


def _by_name(environment: Environment) -> dict[str, Package]:
    # Of a name that conda and pip both have, pip's was put over the other.
    return {
        package.name: package
        for package in sorted(environment.packages, key=lambda package: package.source is not Source.CONDA)
        if package.source not in OF_THE_CALLER
    }


def _what(package: Package | None) -> tuple[str, ...] | None:
    if package is None:
        return None
    return package.version, package.build, package.url if package.source in BY_ADDRESS else ""


def _difference(name: str, there: str, here: str, reason: str) -> Difference:
    return Difference(package=name, there=there, here=here, reason=reason, confidence=Confidence.SURE)
