"""The caller's own code, seen from a cluster that runs: what of it is new there, and how it gets there."""

from __future__ import annotations

import getpass
import os
import socket
import uuid
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tradewind.agent.luggage import BRING, CHUNK, HELD, LACKING, USE
from tradewind.boot.environment.carry import carry, place_of
from tradewind.boot.environment.own import (
    digests,
    digests_in,
    forget_compiled,
    importing,
    own_files,
    refuse_broken,
    to_load_anew,
    touched_since,
)
from tradewind.config import cache_directory
from tradewind.errors import BadRequest, SyncError
from tradewind.model.cluster import Cluster
from tradewind.model.environment import OF_THE_CALLER, Artifact, Environment

SLACK_S = 1.0
"""A file saved this shortly before a cluster was made may be newer than what its first worker imported."""


def own_name() -> str:
    """Return who this is, for others to read, with an end that no other program has."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # a container without a table of users
        user = str(os.getuid()) if hasattr(os, "getuid") else "somebody"
    return f"{user}@{socket.gethostname()} (process {os.getpid()}, {uuid.uuid4().hex[:6]})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The caller's code at one moment."""

    contents: Mapping[str, str]
    """The sha256 of each file, by its name as Python sees it."""
    files: Mapping[str, Path]
    """Where they lie on the caller's disk, as far as that is known."""
    reads: Mapping[str, Callable[[], bytes]]
    """What returns the content of a file."""
    places: tuple[str | Artifact, ...] = ()
    """Where the cluster's processes import it from, in front of all else: directories that they see as well, or files
    that must be brought there. Empty where they look there anyway."""

    is_seen: bool
    """Whether the cluster's processes see the caller's directories."""

    def where(self, name: str) -> str:
        """Return what a person calls a file."""
        return str(self.files.get(name, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is new to a cluster."""

    files: tuple[str, ...]
    """Names, sorted; those that are gone among them."""
    tops: frozenset[str]
    """Modules and packages to load anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What came of it."""

    size: int = 0
    """Bytes that travelled."""
    workers: int = 0
    """That have it."""
    reloaded: tuple[str, ...] = ()
    """Modules that were loaded somewhere, and are loaded anew when they are next imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the scheduler says that it has."""

    round: int
    by: str
    places: tuple[Any, ...]
    contents: Mapping[str, str] = field(default_factory=dict)

    @property
    def pieces(self) -> frozenset[str]:
        """The sha256 of the files in it."""
        return frozenset(place["sha256"] for place in self.places if isinstance(place, dict))


async def held_by(scheduler: Any) -> Held:
    """Return what the scheduler has. Raises BadRequest where it is of a version that takes none."""
    try:
        answer = await getattr(scheduler, HELD)(contents=True)
    except AttributeError:
        answer = None
    if not isinstance(answer, dict) or "round" not in answer:
        raise BadRequest("this cluster was started by a Tradewind that couldn't send code after it: start it anew.")
    return Held(round=answer["round"], by=answer["by"], places=tuple(answer["places"]), contents=answer["contents"])


def code_here(cluster: Cluster) -> Code:
    """Return the code of a caller whose directories the cluster's processes see by the same names."""
    files = own_files()
    here = Path(cluster.spec.working_directory or ".")
    known = {str((here / entry).resolve()) for entry in cluster.spec.python_path}
    places = tuple(str(place) for place in importing())
    return Code(
        contents=digests(files),
        files=files,
        reads={name: place.read_bytes for name, place in files.items()},
        places=() if known.issuperset(places) else places,
        is_seen=True,
    )


def code_to_carry(carried: Environment, lies_there: frozenset[str], *, is_all: bool = True) -> Code:
    """Return the code of a caller whose files must travel.

    Parameters
    ----------
    carried : Environment
        The caller's, with the files that it needs besides what indexes have.
    lies_there : frozenset of str
        The sha256 of the files that are part of what the cluster was started with.
    is_all : bool
        Whether packages of others travel too, that no public index has.
    """
    cache = cache_directory()
    of_others = {one.artifact for one in carried.packages if one.source not in OF_THE_CALLER and not is_all}
    artifacts = [artifact for artifact in carried.artifacts if artifact.sha256 not in of_others]
    reads: dict[str, Callable[[], bytes]] = {}
    for artifact in artifacts:
        path = place_of(artifact, cache)
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                reads.setdefault(name, partial(_member, path, name))
    contents = digests_in(place_of(artifact, cache) for artifact in artifacts)
    return Code(
        contents=contents,
        files=own_files(),
        reads={name: reads[name] for name in contents if name in reads},
        places=tuple(artifact for artifact in artifacts if artifact.sha256 not in lies_there),
        is_seen=False,
    )


def carried_of(captured: Environment, public_indexes: Sequence[str]) -> Environment:
    """Return the caller's software with the files of it that must travel."""
    return carry(captured, cache_directory(), public=public_indexes)


def change_between(code: Code, held: Held, cluster: Cluster) -> Change:
    """Return what of ``code`` a cluster doesn't have, and what it has no more.

    Raises
    ------
    BadRequest
        One of the changed modules can't be read by Python; names its file and line.
    """
    before = _before(code, held, cluster)
    if before is None:
        created_s = cluster.created_at.timestamp() - SLACK_S
        changed = set(touched_since(code.files, created_s)) & set(code.contents)
    else:
        names = {*code.contents, *before}
        changed = {name for name in names if code.contents.get(name) != before.get(name)}
    refuse_broken([name for name in changed if name in code.reads], lambda name: code.reads[name](), code.where)
    return Change(files=tuple(sorted(changed)), tops=to_load_anew(changed, code.reads))


def _before(code: Code, held: Held, cluster: Cluster) -> Mapping[str, str] | None:
    """Return the contents that the cluster has; None where only the files' times can tell."""
    if held.round:
        return held.contents
    if code.is_seen:
        return {} if code.places else None
    return _contents_of(cluster.environment.artifacts if cluster.environment is not None else ())


def _contents_of(artifacts: Sequence[Artifact]) -> Mapping[str, str]:
    paths = [place_of(artifact, cache_directory()) for artifact in artifacts]
    return digests_in(path for path in paths if path.is_file())


async def deliver(
    scheduler: Any, code: Code, change: Change, held: Held, *, by: str, name: str, is_newcomer: bool
) -> Delivered:
    """Let the cluster's processes import ``code`` from now on; return when all workers do.

    Parameters
    ----------
    scheduler : distributed.core.rpc
        The line to it.
    code, change, held
        What there is, what of it is new, and what the scheduler had.
    by : str
        Who this is, see :func:`own_name`.
    name : str
        The cluster's.
    is_newcomer : bool
        Whether somebody else started the cluster: whose code goes is told.

    Raises
    ------
    BadRequest
        The scheduler can't take it: nothing has changed.
    SyncError
        Some workers couldn't take it, and go on with the code that they have.
    """
    forget_compiled(code.files, change.files)
    pieces = [asdict(place) for place in code.places if isinstance(place, Artifact)]
    size = 0
    lacking = set(await getattr(scheduler, LACKING)(pieces=pieces)) if pieces else set()
    for place in code.places:
        if isinstance(place, Artifact) and place.sha256 in lacking:
            await _bring(scheduler, place)
            size += place.size
    others = held.by != by if held.by else is_newcomer
    said = (
        f"The code that tasks of cluster {name!r} import is now that of {by}; it was "
        f"{f'that of {held.by}' if held.by else 'of who started it'}. The last one who syncs wins: agree on one, or "
        "start a cluster each."
    )
    answer = await getattr(scheduler, USE)(
        by=by,
        places=[asdict(place) if isinstance(place, Artifact) else place for place in code.places],
        tops=sorted(change.tops),
        contents=dict(code.contents),
        said=said if others and (code.places or held.places) else "",
    )
    if answer.get("refused"):
        raise BadRequest(f"the code wasn't taken, and nothing has changed: {answer['refused']}.")
    if answer["failed"]:
        lines = "\n".join(f"  {worker}: {why}" for worker, why in sorted(answer["failed"].items()))
        raise SyncError(
            f"{len(answer['failed'])} of {answer['workers'] + len(answer['failed'])} workers couldn't take the new "
            f"code and go on with the old one; the others have it:\n{lines}\nMend that and sync again, or let those "
            "go: cluster.scale_down([...]).",
            tuple(sorted(answer["failed"])),
        )
    return Delivered(size=size, workers=answer["workers"], reloaded=tuple(answer["reloaded"]))


async def _bring(scheduler: Any, artifact: Artifact) -> None:
    with place_of(artifact, cache_directory()).open("rb") as file:
        offset, transfer = 0, uuid.uuid4().hex
        while data := file.read(CHUNK):
            answer = await getattr(scheduler, BRING)(
                piece=asdict(artifact), offset=offset, data=data, transfer=transfer
            )
            if answer.get("refused"):
                raise BadRequest(f"the code wasn't taken, and nothing has changed: {answer['refused']}.")
            offset += len(data)


def _member(path: Path, name: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        return archive.read(name)
