"""The files that say which packages a project needs: names, extras, sources, platforms, locks."""

from __future__ import annotations

import configparser
import fnmatch
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tradewind.advisor.freedom.finding import Document, Finding, Looked, Place, Unread, Use
from tradewind.advisor.freedom.rules import Freedoms, normal

LOCKS = (
    *("uv.lock", "poetry.lock", "pdm.lock", "pixi.lock", "conda-lock.yml", "*.conda-lock.yml", "Pipfile.lock"),
    *("pylock.toml", "pylock.*.toml", "conda-*.lock"),
)
FILES = (
    *("pyproject.toml", "pixi.toml", "Pipfile", "setup.cfg", "*requirements*.txt", "requirements/*.txt"),
    *("*/requirements/*.txt", "constraints*.txt", "*environment*.yml", "*environment*.yaml", "conda*.yml"),
)
IMAGES = ("Dockerfile*", "*.Dockerfile", "Containerfile*", "*.def")
_NAME = re.compile(r"^\s*([A-Za-z0-9][\w.-]*)")
_HOST = re.compile(r"(?:[a-z+]+://|git@)(?:[^/@\s]*@)?([\w.-]+)", re.IGNORECASE)
_LOCKED_NAME = re.compile(r"^\s*(?:-\s*)?\"?name\"?\s*[:=]\s*[\"']?([\w.-]+)", re.MULTILINE)
_REGISTRY = re.compile(
    r"registry\s*=\s*\"(https?://[^\"]+)\"|^\s*(?:index|default-index|extra-index-url).*?(https?://\S+)"
)
_FROM = re.compile(r"^\s*(?:FROM|From:)\s+(?:--platform=(?P<platform>\S+)\s+)?(?P<image>\S+)", re.IGNORECASE)
_INSTALL = re.compile(r"\b(?:pip3?|conda|mamba|micromamba)\s+install\s+(.*)")
_EXACT = re.compile(r"===?\s*[\w.!+-]+\s*(?:;.*|\\\s*|--hash.*)?$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """A package that a file names."""

    name: str
    line: int
    is_optional: bool = False


def is_lock(path: str) -> bool:
    """Whether a file says exactly which packages, by its name."""
    return _is_named(path, LOCKS)


def is_software(path: str) -> bool:
    """Whether a file says which packages, by its name."""
    return _is_named(path, FILES)


def is_image(path: str) -> bool:
    """Whether a file says how an image is made, by its name."""
    return _is_named(path, IMAGES)


def look_at_software(document: Document, freedoms: Freedoms) -> Looked:
    """Return what a file of packages says."""
    try:
        if document.name.endswith((".yml", ".yaml")):
            return _conda(document, freedoms)
        if document.name.endswith(".txt"):
            return _requirements(document, freedoms)
        if document.name == "setup.cfg":
            return _setup(document, freedoms)
        return _project(document, freedoms)
    except (tomllib.TOMLDecodeError, configparser.Error, RecursionError, ValueError) as error:
        return Looked(unread=(Unread(path=document.path, why=f"it can't be read: {str(error).splitlines()[0]}"),))


def look_at_lock(document: Document, freedoms: Freedoms) -> Looked:
    """Return what a lock file gives away: packages of services, which some other may have brought, and their source."""
    uses = []
    sources: list[Finding] = []
    for number, line in enumerate(document.text.splitlines(), start=1):
        place = Place(path=document.path, line=number)
        if (found := _LOCKED_NAME.match(line)) and (client := freedoms.client_of(found[1])):
            uses.append(Use(client=client, place=place, is_declared=True, is_optional=True))
        for match in _REGISTRY.finditer(line):
            sources.extend(_source(match[1] or match[2], place, freedoms))
    return Looked(findings=tuple(sources), uses=tuple(uses), has_packages=True, is_locked=True)


def look_at_image(document: Document, freedoms: Freedoms) -> Looked:
    """Return what the recipe of an image says: from what it starts, and for which platform."""
    findings: list[Finding] = []
    uses: list[Use] = []
    for number, line in enumerate(document.text.splitlines(), start=1):
        place = Place(path=document.path, line=number)
        if match := _FROM.match(line):
            image = match["image"]
            findings.extend(
                Finding(rule=rule.rule, what=image, place=place)
                for rule in freedoms.images
                if rule.holds(image.partition("@")[0])
            )
            if match["platform"] and "$" not in match["platform"]:
                findings.append(Finding(rule="one-platform", what=match["platform"], place=place))
        for word in match[1].split() if (match := _INSTALL.search(line)) else ():
            if client := freedoms.client_of(package_name(word.strip("'\""))):
                uses.append(Use(client=client, place=place, is_declared=True))
    return Looked(findings=tuple(findings), uses=tuple(uses))


def package_name(requirement: str) -> str:
    """Return the name in a requirement, as indexes spell it; empty where there is none."""
    found = _NAME.match(requirement)
    return normal(found[1]) if found else ""


# ---------------------------------------------------------------------------------------------- of each kind


def _requirements(document: Document, freedoms: Freedoms) -> Looked:
    needs: list[_Need] = []
    sources: list[Finding] = []
    exact = True
    for number, whole_line in enumerate(document.text.splitlines(), start=1):
        line = re.sub(r"(?:^|\s)#.*$", "", whole_line).strip()
        place = Place(path=document.path, line=number)
        if line.startswith("-"):
            sources.extend(_source(line, place, freedoms) if "index" in line or "find-links" in line else ())
            if line.startswith(("-e", "--editable")):
                sources.extend(_source(line, place, freedoms))
        elif line:
            needs.append(_Need(name=package_name(line), line=number))
            exact &= bool(_EXACT.search(line))
            sources.extend(_source(line, place, freedoms))
    is_extra = bool(re.search(r"(?:dev|test|doc|extra|optional|lint)", document.name))
    needs = [_Need(name=one.name, line=one.line, is_optional=is_extra) for one in needs]
    return _looked(document, needs, sources, freedoms, is_locked=exact and bool(needs))


def _conda(document: Document, freedoms: Freedoms) -> Looked:
    """Read an environment line by line: its form is plain, and so every line keeps its number."""
    needs: list[_Need] = []
    findings: list[Finding] = []
    block = ""
    platforms: list[tuple[str, int]] = []
    for number, whole_line in enumerate(document.text.splitlines(), start=1):
        line = re.sub(r"(?:^|\s)#.*$", "", whole_line).rstrip()
        if found := re.match(r"(\w[\w-]*):\s*(.*)$", line):
            block = found[1]
            entries = re.findall(r"[\w./:+=<>~-]+", found[2]) if found[2].startswith("[") else []
        else:
            item = re.match(r"\s*-\s*(.+)$", line)
            entries = [item[1].strip().strip("'\"")] if item else []
        place = Place(path=document.path, line=number)
        for entry in entries:
            if block == "dependencies" and not entry.endswith(":"):
                needs.append(_Need(name=package_name(entry.rpartition("::")[2]), line=number))
                findings.extend(_source(entry, place, freedoms))
                if "::" in entry:
                    findings.extend(_source(entry.partition("::")[0], place, freedoms))
            elif block == "channels":
                findings.extend(_source(entry, place, freedoms))
            elif block == "platforms":
                platforms.append((entry, number))
    findings.extend(_one_platform(platforms, document))
    return _looked(document, needs, findings, freedoms)


def _setup(document: Document, freedoms: Freedoms) -> Looked:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.read_string(document.text)
    needs = [(line, False) for line in parser.get("options", "install_requires", fallback="").splitlines()]
    if parser.has_section("options.extras_require"):
        extras = dict(parser.items("options.extras_require"))
        needs += [(line, True) for lines in extras.values() for line in lines.splitlines()]
    found = [_need(document, line, is_optional=extra) for line, extra in needs if line.strip()]
    return _looked(document, found, [], freedoms) if found else Looked()


def _project(document: Document, freedoms: Freedoms) -> Looked:
    """Read pyproject.toml, pixi.toml or a Pipfile."""
    tables = tomllib.loads(document.text)
    needs = [_need(document, name, is_optional=extra) for name, extra in _named(tables)]
    findings: list[Finding] = []
    for number, line in enumerate(document.text.splitlines(), start=1):
        if re.match(r"\s*(?:url|index-url|extra-index-url|default-index|channels|git|path)\s*=|\s*\"[\w.-]+\s*@", line):
            place = Place(path=document.path, line=number)
            findings.extend(one for word in re.findall(r"\"([^\"]+)\"", line) for one in _source(word, place, freedoms))
    for workspace in (
        _at(tables, "tool", "pixi", "workspace"),
        _at(tables, "tool", "pixi", "project"),
        _at(tables, "workspace"),
        _at(tables, "project"),
    ):
        if isinstance(listed := workspace.get("platforms"), list):
            platforms = [(str(name), _line(document, str(name))) for name in listed]
            findings.extend(_one_platform(platforms, document))
    return _looked(document, needs, findings, freedoms) if needs else Looked(findings=tuple(findings))


def _named(tables: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Yield every package that is named, and whether in an extra."""
    project = _at(tables, "project")
    yield from ((str(name), False) for name in _list(project.get("dependencies")))
    groups = (_at(project, "optional-dependencies"), _at(tables, "dependency-groups"))
    for group in groups:
        yield from ((name, True) for names in group.values() for name in _list(names) if isinstance(name, str))
    poetry = _at(tables, "tool", "poetry")
    yield from (
        (name, isinstance(said, Mapping) and said.get("optional") is True)
        for name, said in _at(poetry, "dependencies").items()
        if name != "python"
    )
    for group in _at(poetry, "group").values():
        yield from ((name, True) for name in _at(group, "dependencies"))
    for root in (_at(tables, "tool", "pixi"), tables):
        for kind in ("dependencies", "pypi-dependencies"):
            yield from ((name, False) for name in _at(root, kind))
            for feature in _at(root, "feature").values():
                yield from ((name, True) for name in _at(feature, kind))
    yield from ((name, False) for name in _at(tables, "packages"))
    yield from ((name, True) for name in _at(tables, "dev-packages"))


# ---------------------------------------------------------------------------------------------- what they share


def _looked(
    document: Document, needs: list[_Need], findings: list[Finding], freedoms: Freedoms, *, is_locked: bool = False
) -> Looked:
    uses = []
    for need in needs:
        if client := freedoms.client_of(need.name):
            place = Place(path=document.path, line=need.line)
            uses.append(Use(client=client, place=place, is_declared=True, is_optional=need.is_optional))
    return Looked(findings=tuple(findings), uses=tuple(uses), has_packages=True, is_locked=is_locked)


def _source(said: str, place: Place, freedoms: Freedoms) -> Iterator[Finding]:
    """Yield a finding where packages come from what not everybody can reach."""
    if re.search(r"git\+ssh://|git@", said):
        host = _HOST.search(said)
        yield Finding(rule="private-source", what=f"git over ssh from {host[1] if host else 'somewhere'}", place=place)
    elif re.search(r"file://|(?:^|[\s@=])(?:~?/|\.\./|[A-Z]:\\)", said):
        yield Finding(rule="private-source", what="a folder of this machine", place=place)
    elif host := _HOST.search(said):
        name = host[1].lower().rstrip(".")
        if not any(name == known or name.endswith(f".{known}") for known in freedoms.public):
            yield Finding(rule="private-source", what=name, place=place)


def _one_platform(platforms: list[tuple[str, int]], document: Document) -> Iterator[Finding]:
    if len(platforms) == 1 and platforms[0][0] not in {"noarch", "any"}:
        place = Place(path=document.path, line=platforms[0][1])
        yield Finding(rule="one-platform", what=platforms[0][0], place=place, is_lesser=True)


def _need(document: Document, said: str, *, is_optional: bool) -> _Need:
    name = package_name(said)
    return _Need(name=name, line=_line(document, said.strip()), is_optional=is_optional)


def _line(document: Document, said: str) -> int:
    """Return the line on which something is said first; 1 where it isn't found as it is written."""
    at = document.text.find(said)
    return document.text.count("\n", 0, at) + 1 if at >= 0 else 1


def _is_named(path: str, patterns: tuple[str, ...]) -> bool:
    name = path.rpartition("/")[2]
    return any(fnmatch.fnmatchcase(path if "/" in pattern else name, pattern) for pattern in patterns)


def _at(table: object, *keys: str) -> Mapping[str, Any]:
    for key in keys:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table if isinstance(table, Mapping) else {}


def _list(said: object) -> list[Any]:
    return said if isinstance(said, list) else []
