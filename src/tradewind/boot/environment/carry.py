"""What no index has, made into files that can travel: wheels of the caller's projects, a ZIP of plain modules."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from urllib.parse import urlsplit

from tradewind.boot.environment.build import BuildFailed, build, find_uv
from tradewind.boot.environment.capture import this_platform
from tradewind.boot.environment.indexes import PUBLIC, Indexes, configured, with_passwords
from tradewind.boot.environment.known import known_to, lacked_by
from tradewind.boot.environment.listing import described, listing, refuse_too_big, sizes_of
from tradewind.boot.environment.modules import linked_by, modules, name_of, places
from tradewind.boot.environment.sources import Found, Installed, look, path_of
from tradewind.boot.environment.unused import used
from tradewind.boot.environment.wheels import installed_files, repack, repack_sources, rewrite, write_zip
from tradewind.errors import BadRequest
from tradewind.model.environment import Artifact, Environment, Package, Source, seal

log = logging.getLogger("tradewind")

LIMIT = 100 * 2**20
"""Bytes of all that travels: ten seconds on a usual line, and nobody's code is that long; data is."""
ADVICE = (
    "Data belongs where all workers can read it. Name what shall not travel in .gitignore, or start Python elsewhere."
)
MODULES = "What is imported from the working directory and from PYTHONPATH"
OUR_OWN = "tradewind"
ALWAYS_TRAVEL = frozenset({Source.DIRECTORY, Source.EDITABLE, Source.VCS})
"""Of a repository too: a machine has neither git nor the caller's keys, and would have to compile it."""
AT_ONCE = 4
"""Wheels that are made at the same time."""
LOOK_S = 0.005
"""Between looks whether a wheel has to be made or was made before."""
OUR_NEEDS = ("msgspec", "setproctitle")
"""Of our own dependencies, those that a scheduler or a worker imports and ``distributed`` doesn't bring."""

Known = Callable[[Sequence[Installed]], Collection[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """What decides what travels, and where it is kept."""

    cache: Path
    """The user's cache directory: files in ``artifacts/<sha256>/<name>``, what was built of what in ``built/``."""
    found: Found
    indexes: Indexes
    public: Collection[str] = ()
    """Addresses of indexes that machines can ask without a password."""
    known: Collection[str] = ()
    """Names that the usual index has, exactly as they are here."""
    say: Callable[[str], None] = log.warning
    """Told in a sentence what was done otherwise than usual."""
    before_making: Callable[[], None] = lambda: None
    """Called before each file that has to be made."""


def carry(
    environment: Environment,
    cache: Path,
    *,
    path: Sequence[str] | None = None,
    working_directory: Path | None = None,
    public: Collection[str] = (),
    known: Known | None = None,
    limit: int = LIMIT,
    with_modules: bool = True,
    say: Callable[[str], None] = log.warning,
    while_building: Callable[[Environment], None] | None = None,
) -> Environment:
    """Return ``environment`` with the files that it needs besides what indexes have; they lie in ``cache``.

    What was made before of the same files is found again. May be called by several processes at once.

    Parameters
    ----------
    environment : Environment
        Captured of the Python that is running.
    cache : Path
        The user's cache directory; a file is at :func:`place_of`.
    path : sequence of str, optional
        Where distributions and modules are looked for; default ``sys.path``.
    working_directory : Path, optional
        Whose modules travel; default the current one.
    public : collection of str
        Addresses of indexes that machines can ask, besides PyPI.
    known : callable, optional
        Returns the names of those that PyPI has exactly as they are here; default asks it. Called where other indexes
        are set too, for packages of which it isn't written down from which they are; what isn't known travels.
    limit : int
        Bytes of all files together.
    with_modules : bool
        Whether plain modules of the working directory travel, beside packages.
    say : callable
        Told in a sentence what was done otherwise than usual.
    while_building : callable, optional
        Told once, where a file has to be made, what of the environment machines get without any.

    Raises
    ------
    BadRequest
        A project can't be built, a list of files is missing, or it is more than ``limit``; names the files.
    """
    carrier = Carrier(
        cache=cache,
        found=look(path),
        indexes=configured(working_directory=working_directory),
        public=frozenset(address.rstrip("/") for address in public),
        say=say,
    )
    installed = {one.name: one for one in carrier.found.installed}
    is_making = threading.Event()
    first = replace(carrier, before_making=is_making.set)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        making = {
            package: pool.submit(wheel_of, installed[package.name], first, limit)
            for package in environment.packages
            if package.name in installed and package.source in ALWAYS_TRAVEL
        }
        try:
            # Indexes are asked while the first wheels are being made.
            if unsure := [
                installed[p.name] for p in environment.packages if p.name in installed and is_unsure(p, carrier)
            ]:
                carrier = replace(carrier, known=known(unsure) if known is not None else _not_private(unsure, carrier))
            listed = _listed(environment, installed, carrier)
            if while_building is not None:
                carrier = replace(carrier, before_making=_once(lambda: while_building(listed)))
                while not (has_begun := is_making.wait(LOOK_S)) and not all(wheel.done() for wheel in making.values()):
                    continue
                if has_begun:
                    carrier.before_making()
            stays, packages, artifacts = frozenset(listed.packages), [], []
            given: dict[Path, frozenset[str]] = {}
            for package in environment.packages:
                if package in stays:
                    packages.append(package)
                    continue
                one = installed[package.name]
                artifact, version = making[package].result() if package in making else wheel_of(one, carrier, limit)
                artifacts.append(artifact)
                if one.source is Source.EDITABLE and one.project is not None:
                    given[one.project.resolve()] = names_in(place_of(artifact, cache))
                packages.append(replace(package, version=version, artifact=artifact.sha256, sha256=""))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    refuse_too_big("What travels", {a.file_name: a.size for a in artifacts}, limit, ADVICE)
    found = modules_to_carry(carrier, path, working_directory, given) if with_modules else {}
    plain = modules_zip(found, carrier, limit - sum(artifact.size for artifact in artifacts))
    return seal(
        replace(
            listed,
            packages=tuple(packages),
            artifacts=tuple(sorted([*artifacts, *plain], key=lambda artifact: artifact.file_name)),
        )
    )


def _listed(environment: Environment, installed: Mapping[str, Installed], carrier: Carrier) -> Environment:
    """Return what of ``environment`` machines get by themselves, and where."""
    stays = [
        package
        for package in environment.packages
        if (one := installed.get(package.name)) is None
        or package.source is Source.CONDA
        or not travels(package, one, carrier)
    ]
    # What isn't PyPI's or public travels: a machine that asked those indexes would wait for nothing.
    reachable = tuple(url for url in environment.indexes if url in PUBLIC or url in carrier.public)
    indexes = () if set(reachable) <= PUBLIC else reachable
    return seal(replace(environment, packages=tuple(stays), indexes=indexes, artifacts=()))


def _once(call: Callable[[], None]) -> Callable[[], None]:
    calls = iter((call,))
    return lambda: next(calls, lambda: None)()


def _not_private(unsure: Sequence[Installed], carrier: Carrier) -> frozenset[str]:
    private = [index.url for index in carrier.indexes.private if index.url not in carrier.public]
    written = with_passwords()
    lacked: frozenset[str] = frozenset()
    if all(url.startswith(("http://", "https://")) and url in written for url in private):
        lacked = lacked_by(unsure, carrier.cache, {url: written[url] for url in private})
    return lacked | known_to([one for one in unsure if one.name not in lacked], carrier.cache, say=carrier.say)


def with_ours(environment: Environment, cache: Path) -> Environment:
    """Return ``environment`` with this program in it, packed as it runs here, where no package brings it.

    What it imports on a machine besides Dask's own libraries is added in the versions that are here.
    """
    names = {package.name for package in environment.packages}
    if OUR_OWN in names:
        return environment
    needed = [Package(name=name, version=metadata.version(name)) for name in OUR_NEEDS if name not in names]
    carrier = Carrier(cache=cache, found=Found(), indexes=Indexes())
    plain = modules_zip(our_own(), carrier, LIMIT)
    packages = sorted([*environment.packages, *needed], key=lambda package: (package.name, package.source.value))
    return seal(replace(environment, packages=tuple(packages), artifacts=(*environment.artifacts, *plain)))


def our_own() -> dict[str, Path]:
    """Return this program's files, by their names in an archive."""
    ours = Path(__file__).parents[2]
    return {f"{OUR_OWN}/{name}": ours / name for name in listing(ours).names}


def place_of(artifact: Artifact, cache: Path) -> Path:
    """Return where in the user's cache directory a file lies."""
    return cache / "artifacts" / artifact.sha256 / artifact.file_name


def travels(package: Package, one: Installed, carrier: Carrier) -> bool:
    """Whether a machine can't get a package by itself."""
    if package.source in ALWAYS_TRAVEL:
        return True
    if package.source is Source.ARCHIVE:
        return not one.is_whole_address or not _is_reachable(package.url)
    if package.url:
        return package.url not in PUBLIC and package.url not in carrier.public
    return is_unsure(package, carrier) and package.name not in carrier.known


def is_unsure(package: Package, carrier: Carrier) -> bool:
    """Whether a package may be of a private index, and nobody wrote it down."""
    if package.source is not Source.INDEX or package.url:
        return False
    return any(
        index.url not in carrier.public and _may_have(index.url, package.name) for index in carrier.indexes.private
    )


def _may_have(index: str, name: str) -> bool:
    """Whether an index may have a package; of a directory of this machine that can be seen."""
    directory = path_of(index)
    return directory is None or (directory / name).is_dir()


def wheel_of(one: Installed, carrier: Carrier, limit: int = LIMIT) -> tuple[Artifact, str]:
    """Return the wheel of what is installed, and the version it has: an edited project may have moved on.

    Of what was copied when it was installed, the copy is what runs here: the wheel is made of that. A project that
    is run where it lies is built as it is now.
    """
    if one.source is Source.EDITABLE:
        return _wheel_of_project(one, carrier, limit)
    files = installed_files(one)
    sizes = {name: path.stat().st_size for name, path in files.items()}
    stamps = "\n".join(f"{name} {path.stat().st_mtime_ns} {sizes[name]}" for name, path in sorted(files.items()))
    key = hashlib.sha256(f"{one.directory}\n{stamps}".encode(errors="surrogateescape")).hexdigest()

    def make(into: Path) -> Path:
        return repack(one, files, into)

    return _kept(key, one, carrier, make)


def _wheel_of_project(one: Installed, carrier: Carrier, limit: int) -> tuple[Artifact, str]:
    project = one.project
    if project is None or not project.is_dir():
        raise BadRequest(
            f"{one.name} is installed from {project or one.url}, which isn't there any more: install it again, or "
            f"uninstall it (pip uninstall {one.name})."
        )
    files = listing(project)
    sizes = sizes_of(project, files.names)
    refuse_too_big(f"The project {one.name} in {project}", sizes, 10 * limit, ADVICE)
    key = files.digest(one.name, sys.version, this_platform(), described(project), find_uv() or "")

    def make(into: Path) -> Path:
        try:
            return build(project, files, into)
        except BuildFailed as failure:
            try:
                wheel = repack_sources(one, into)
            except BadRequest as error:
                raise BadRequest(
                    f"{one.name} can't be built from {project}, and {error}. Its builder says:\n{failure}"
                ) from None
            carrier.say(
                f"{one.name} can't be built from {project}: its files travel as they lie there. Its builder says:\n"
                f"{failure}"
            )
            return wheel

    artifact, version = _kept(key, one, carrier, make)
    if artifact.size > limit:
        refuse_too_big(f"The wheel of {one.name}, with files of {project},", sizes, 0, ADVICE)
    return artifact, version


def modules_to_carry(
    carrier: Carrier,
    path: Sequence[str] | None,
    working_directory: Path | None,
    given: Mapping[Path, frozenset[str]],
) -> dict[str, Path]:
    """Return what can be imported and belongs to no package, by its name in the archive.

    Parameters
    ----------
    carrier : Carrier
        What is installed, and who is told.
    path : sequence of str, optional
        Default ``sys.path``.
    working_directory : Path, optional
        Default the current one.
    given : mapping
        From a project's directory to the names that its wheel gives: those aren't carried twice.
    """

    def is_in_wheel(place: Path, name: str) -> bool:
        return any(place.is_relative_to(root) and name.partition(".")[0] in names for root, names in given.items())

    sites = {one.directory.parent.resolve() for one in carrier.found.installed if one.files}
    # Where distributions lie, everything is theirs; also in what somebody filled with `pip install --target`.
    linked = linked_by(sites) | sites
    found = modules(places(path, working_directory, linked), without=is_in_wheel, say=carrier.say)
    if not any(one.name == OUR_OWN for one in carrier.found.installed) and f"{OUR_OWN}/__init__.py" not in found:
        found |= our_own()  # what runs there needs us, wherever we were imported from
    return found


def modules_zip(found: Mapping[str, Path], carrier: Carrier, limit: int) -> tuple[Artifact, ...]:
    """Return the ZIP of modules; nothing where there are none."""
    if not found:
        return ()
    sizes = {name: place.stat().st_size for name, place in found.items()}
    refuse_too_big(MODULES, sizes, 10 * limit, ADVICE)
    name = name_of(found)

    def make(into: Path) -> Path:
        write_zip(into / name, found)
        return into / name

    artifact, _ = _kept(hashlib.sha256(name.encode()).hexdigest(), None, carrier, make)
    if artifact.size > limit:
        refuse_too_big(MODULES, sizes, 0, ADVICE)
    return (artifact,)


def names_in(wheel: Path) -> frozenset[str]:
    """Return the top-level names that can be imported from a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    return frozenset(top.partition(".")[0] for top in tops if not top.endswith((".dist-info", ".data")))


def _is_reachable(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in {"http", "https"} and parts.hostname not in {"localhost", "127.0.0.1", "::1"}


def _kept(key: str, one: Installed | None, carrier: Carrier, make: Callable[[Path], Path]) -> tuple[Artifact, str]:
    """Return what was made of ``key`` before, else make it. Another process may make the same meanwhile: no harm."""
    note = carrier.cache / "built" / f"{key}.json"
    try:
        said = json.loads(note.read_bytes())
        artifact = Artifact(file_name=said["file_name"], sha256=said["sha256"], size=said["size"])
        if place_of(artifact, carrier.cache).stat().st_size == artifact.size:
            used(place_of(artifact, carrier.cache))
            used(note)
            return artifact, _version_of(artifact, one)
    except (OSError, ValueError, KeyError, TypeError):
        pass  # it was never made, or somebody cleaned up
    carrier.before_making()
    carrier.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=carrier.cache, prefix="making-") as directory:
        into = Path(directory) / "made"
        into.mkdir()
        made = make(into)
        if made.suffix == ".whl" and one is not None and one.source is Source.EDITABLE:
            rewrite(made, Path(directory) / made.name)
            made = Path(directory) / made.name
        with made.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        artifact = Artifact(file_name=made.name, sha256=sha256, size=made.stat().st_size)
        to = place_of(artifact, carrier.cache)
        to.parent.mkdir(parents=True, exist_ok=True)
        made.replace(to)
        note.parent.mkdir(parents=True, exist_ok=True)
        written = Path(directory) / "note"
        content = {"file_name": artifact.file_name, "sha256": artifact.sha256, "size": artifact.size}
        written.write_text(json.dumps(content), encoding="utf-8")
        os.replace(written, note)
    return artifact, _version_of(artifact, one)


def _version_of(artifact: Artifact, one: Installed | None) -> str:
    if one is None:
        return ""
    found = re.match(r"[^-]+-([^-]+)-", artifact.file_name)
    return found[1] if found is not None else one.version
