"""What packaging calls a platform: in markers, in wheels' names, to uv, to conda, and to people."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import unquote, urlsplit

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from tradewind.errors import BadRequest
from tradewind.model.environment import Environment, Source, Target

GLIBC = (2, 28)
"""Of a Linux that nothing is known of: that of RHEL 8 and of all newer ones."""
NEWEST_GLIBC = "2.60"
"""Newer than any."""
UV_GLIBCS = (17, *range(28, 41))
"""Minor versions of glibc that uv has a name for."""
SYSTEMS = {
    "linux": ("linux", "Linux", "posix"),
    "macosx": ("darwin", "Darwin", "posix"),
    "win": ("win32", "Windows", "nt"),
}
"""What markers say: ``sys_platform``, ``platform_system``, ``os_name``."""
SHOWN = {"linux": "Linux", "macosx": "macOS", "win": "Windows"}
MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "x64": "x86_64"}
TARGETS = ("linux-x86_64", "linux-aarch64", "macosx-arm64", "macosx-x86_64")


def check(target: Target) -> None:
    """Raise BadRequest for a platform that no environment can be made for."""
    if target.platform not in TARGETS:
        raise BadRequest(
            f"an environment can't be made for {target.platform!r}: there are {', '.join(TARGETS)}, and "
            "Windows machines run no clusters."
        )
    for word, value in (("Python", target.python), ("glibc", target.glibc)):
        if value and not re.fullmatch(r"\d+\.\d+", value):
            raise BadRequest(f"{value!r} isn't a version of {word} to make an environment for: write it as 3.11.")


def minor_of(version: str) -> str:
    """Return ``3.11`` of ``3.11.7``."""
    return ".".join(version.split(".")[:2])


def system_of(platform: str) -> str:
    """Return ``linux``, ``macosx`` or ``win``."""
    return platform.partition("-")[0]


def machine_of(platform: str) -> str:
    """Return ``x86_64`` or ``aarch64``, by whatever name it goes."""
    machine = platform.partition("-")[2]
    return MACHINES.get(machine, machine)


def shown(platform: str) -> str:
    """Return a platform as people say it: ``Linux x86_64``, ``macOS arm64``."""
    system, machine = system_of(platform), machine_of(platform)
    if system == "macosx" and machine == "aarch64":
        machine = "arm64"
    return f"{SHOWN.get(system, system)} {machine}"


def marker_facts(platform: str, python: str) -> dict[str, str]:
    """Return what markers are evaluated with there. ``python`` may be a minor version."""
    system = system_of(platform)
    sys_platform, platform_system, os_name = SYSTEMS.get(system, (system, system, "posix"))
    machine = platform.partition("-")[2]
    return {
        "implementation_name": "cpython",
        "implementation_version": _full(python),
        "os_name": os_name,
        "platform_machine": "AMD64" if machine == "amd64" else machine,
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": platform_system,
        "platform_version": "",
        "python_full_version": _full(python),
        "python_version": minor_of(python),
        "sys_platform": sys_platform,
    }


def uv_platform(target: Target) -> str:
    """Return what uv calls the platform."""
    machine = machine_of(target.platform)
    if system_of(target.platform) == "macosx":
        return f"{machine}-apple-darwin"
    limit = _glibc(target)[1]
    return f"{machine}-manylinux_2_{max((minor for minor in UV_GLIBCS if minor <= limit), default=UV_GLIBCS[0])}"


def conda_subdir(target: Target) -> str:
    """Return what conda calls the platform."""
    machine = machine_of(target.platform)
    if system_of(target.platform) == "macosx":
        return "osx-arm64" if machine == "aarch64" else "osx-64"
    return "linux-aarch64" if machine == "aarch64" else "linux-64"


def tags_for(target: Target) -> frozenset[Tag]:
    """Return the tags of all wheels that run there; ``target.python`` is set."""
    machine = machine_of(target.platform)
    if system_of(target.platform) == "macosx":
        arch = "arm64" if machine == "aarch64" else machine
        names = [f"macosx_{major}_0_{kind}" for major in range(11, 15) for kind in (arch, "universal2")]
        if arch == "x86_64":
            names += [f"macosx_10_{minor}_{kind}" for minor in range(4, 17) for kind in (arch, "universal2", "intel")]
    else:
        old = ("manylinux2014", "manylinux2010", "manylinux1") if machine == "x86_64" else ("manylinux2014",)
        names = [f"manylinux_2_{minor}_{machine}" for minor in range(5, _glibc(target)[1] + 1)]
        names += [f"{name}_{machine}" for name in (*old, "linux")]
    major, minor = (int(part) for part in target.python.split("."))
    return frozenset(
        [
            *cpython_tags((major, minor), platforms=names),
            *compatible_tags((major, minor), interpreter=f"cp{major}{minor}", platforms=names),
        ]
    )


def fits(file_name: str, tags: frozenset[Tag]) -> bool:
    """Whether a wheel of this name runs where ``tags`` do."""
    return not tags.isdisjoint(tags_of(file_name))


def unfit(environment: Environment, machines: Target) -> list[tuple[str, str]]:
    """Return packages whose very file is known and doesn't run on ``machines``, with that file's name.

    Of which an index is to choose the file, nobody knows here. Where nothing is known of the C library, the newest is
    assumed.
    """
    python = machines.python or minor_of(environment.python)
    tags = tags_for(replace(machines, python=python, glibc=machines.glibc or NEWEST_GLIBC))
    files = {one.sha256: one.file_name for one in environment.artifacts}
    found = []
    for package in environment.packages:
        is_at_address = package.source is Source.ARCHIVE and not package.artifact
        file = unquote(urlsplit(package.url).path.rpartition("/")[2]) if is_at_address else files.get(package.artifact)
        if file and file.endswith(".whl") and not fits(file, tags):
            found.append((package.name, file))
    return found


def tags_of(file_name: str) -> frozenset[Tag]:
    """Return the tags in a wheel's name; none where it isn't a name of a wheel."""
    try:
        return parse_wheel_filename(file_name)[3]
    except InvalidWheelFilename:
        return frozenset()


def systems_of(file_names: Iterable[str]) -> frozenset[str]:
    """Return the systems that wheels are for: of ``linux``, ``macosx``, ``win`` and ``any``."""
    return frozenset(_system(tag.platform) for name in file_names for tag in tags_of(name))


def describe(file_names: Iterable[str]) -> str:
    """Return in words what wheels there are: ``Windows x86_64, macOS arm64 (Python 3.11, 3.12)``; empty: none."""
    platforms: set[str] = set()
    pythons: set[tuple[int, ...]] = set()
    for name in file_names:
        for tag in tags_of(name):
            platforms.add(_shown_tag(tag.platform))
            found = re.fullmatch(r"cp(\d)(\d+)", tag.interpreter)
            if found and tag.abi != "abi3":
                pythons.add((int(found[1]), int(found[2])))
    if not platforms:
        return ""
    versions = ", ".join(".".join(map(str, python)) for python in sorted(pythons))
    return ", ".join(sorted(platforms)) + (f" (Python {versions})" if versions else "")


def _shown_tag(platform: str) -> str:
    if platform == "any":
        return "any platform"
    machine = re.search(r"(x86_64|aarch64|arm64|universal2|i686|amd64|armv7l|ppc64le|s390x|riscv64)$", platform)
    system = _system(platform)
    shown_machine = MACHINES.get(machine[1], machine[1]) if machine else "32 bit" if platform == "win32" else ""
    if system == "macosx" and shown_machine == "aarch64":
        shown_machine = "arm64"
    musl = " with musl" if platform.startswith("musllinux") else ""
    return f"{SHOWN.get(system, platform)} {shown_machine}{musl}".strip()


def _system(platform: str) -> str:
    if platform.startswith(("manylinux", "musllinux", "linux")):
        return "linux"
    return next((system for system in ("macosx", "win") if platform.startswith(system)), platform)


def _glibc(target: Target) -> tuple[int, int]:
    if not target.glibc:
        return GLIBC
    major, minor = (int(part) for part in target.glibc.split("."))
    return major, minor


def _full(python: str) -> str:
    return python if python.count(".") > 1 else f"{python}.0"
