"""Packages of an environment: exact pins from an index, and files that travelled."""

from __future__ import annotations

import os
import platform
import re
import shutil
import ssl
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tradewind.boot.restore.fetch import fetched
from tradewind.boot.restore.refusal import refusal_of
from tradewind.boot.restore.report import CantRestore, Report
from tradewind.boot.restore.tools import run, used

MODULES = "modules"
"""Directory of plain modules, in an environment."""
MODULES_LINK = "tradewind-modules.pth"
"""Lets Python look there."""


@dataclass(frozen=True)
class Making:
    """An environment that is being made."""

    order: Mapping[str, Any]
    report: Report
    cache: str
    uv: str
    directory: str
    final: str
    """Where ``directory`` will stand when it is complete."""
    hold: int
    """The file of the lock."""
    indexes: Sequence[str]

    @property
    def environment(self) -> Mapping[str, Any]:
        """As the order has it."""
        found: Mapping[str, Any] = self.order["environment"]
        return found

    @property
    def python(self) -> str:
        """Of the environment."""
        return os.path.join(self.directory, "bin", "python")

    @property
    def timeout_s(self) -> float:
        """Of one step."""
        return float(self.order.get("timeout_s") or 3600)

    @property
    def environ(self) -> dict[str, str]:
        """For uv: its files beside the environments, so that it links and doesn't copy."""
        return uv_environ(self.cache)


def uv_environ(cache: str) -> dict[str, str]:
    """Return the variables that uv runs with."""
    environ = {"UV_NO_PROGRESS": "1", "NO_COLOR": "1", "UV_PYTHON_INSTALL_DIR": os.path.join(cache, "python")}
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONPATH", "PYTHONHOME"):
        environ[name] = ""
    if not os.environ.get("UV_CACHE_DIR"):
        environ["UV_CACHE_DIR"] = os.path.join(cache, "uv")
    if (
        ssl.get_default_verify_paths().cafile
    ):  # as everything on the machine: laboratories have authorities of their own
        environ["UV_SYSTEM_CERTS"] = environ["UV_NATIVE_TLS"] = "1"
    return environ


def ask_uv(making: Making, words: Sequence[str], what: str, *, of: int = 0, indexes: Sequence[str] = ()) -> None:
    """Run uv, which asks ``indexes``, the first one first; raise its refusal in the user's words.

    They are told by variables: an address may hold the machine's own login, and everybody sees arguments.
    """
    count = 0
    asked = {"UV_INDEX": " ".join(indexes[:-1]), "UV_DEFAULT_INDEX": indexes[-1]} if indexes else {}

    def listen(line: str) -> None:
        nonlocal count
        if re.match(r"\s*Downloaded |\s*Built ", line):
            count += 1
            making.report.say(step="packages", done=min(count, of), of=of, now=line.split()[1])

    environ = {**making.environ, **asked}
    used(os.path.join(making.cache, "uv"), making.cache)
    code, text = run([making.uv, *words], environ=environ, timeout_s=making.timeout_s, hold=making.hold, listen=listen)
    if code != 0:
        raise refusal_of(text, facts_of(making), what)


def facts_of(making: Making) -> dict[str, str]:
    """Return what sentences for the user tell about this machine."""
    return {
        "place": making.cache,
        "free": free_space(making.cache),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": str(making.environment["python"]),
        "indexes": ", ".join(making.indexes) or "https://pypi.org/simple",
    }


def free_space(path: str) -> str:
    """Return the free space there in words."""
    try:
        return f"{shutil.disk_usage(path).free / 1e6:,.0f} MB"
    except OSError:
        return "an unknown amount"


def install_pins(making: Making, packages: Sequence[Mapping[str, Any]]) -> None:
    """Install what indexes and repositories have, in the very versions."""
    groups: dict[str, list[str]] = {}
    direct: list[str] = []
    for package in packages:
        name, version, url = package["name"], package["version"], package.get("url") or ""
        mark = f" --hash=sha256:{package['sha256']}" if package.get("sha256") else ""
        source = package.get("source") or "index"
        if source == "index":
            groups.setdefault(url, []).append(f"{name}=={version}{mark}")
        elif source == "archive":
            groups.setdefault("", []).append(f"{name} @ {url}{mark}")
        elif source == "vcs":
            direct.append(f"{name} @ {url if url.startswith('git+') else f'git+{url}'}")
        else:
            raise CantRestore(
                "no_artifact",
                f"{name} {version} is from a {'directory' if source == 'directory' else 'checkout'} of the caller and "
                "didn't travel here: no file of it is in the order. Start from the machine that has it.",
            )
    for url, lines in groups.items():
        # Each index by itself: a name that stands in two must come from the one it was captured from.
        words, indexes = ["--only-binary", ":all:"], [url] if url else making.indexes
        try:
            _install_lines(making, lines, words, indexes)
        except CantRestore as error:
            if error.code not in {"missing", "no_wheel"} or url or len(making.indexes) < 2:
                raise
            # pip, which most environments are made with, takes a version from whichever index has it; with exact pins
            # that is no more dangerous here than it was there. Not at once: uv hides then that one wants a password.
            _install_lines(making, lines, [*words, "--index-strategy", "unsafe-first-match"], indexes)
    if direct:
        _install_lines(making, direct, [], making.indexes)


def _install_lines(making: Making, lines: Sequence[str], words: Sequence[str], indexes: Sequence[str]) -> None:
    path = os.path.join(making.directory, "requirements.txt")
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    # The machine's own settings of uv are heeded only where the order says nothing: they name its mirror.
    settings = ["--no-config"] if making.indexes else []
    common = ["pip", "install", *settings, "--no-deps", "--python", making.python, "--break-system-packages"]
    ask_uv(making, [*common, *words, "-r", path], "installing packages", of=len(lines), indexes=indexes)
    os.unlink(path)


def install_artifacts(making: Making) -> None:
    """Install wheels that travelled, and unpack modules; each file checked before it is used."""
    artifacts = making.environment.get("artifacts") or []
    wheels: list[str] = []
    modules: list[str] = []
    for count, artifact in enumerate(artifacts):
        name, sha256 = artifact["file_name"], artifact["sha256"]
        address = making.order["files"].get(sha256)
        if not address or os.path.basename(name) != name:
            raise CantRestore(
                "no_artifact",
                f"{name} didn't travel here: the order names no address for it. Start the cluster again from the "
                "machine that has it.",
            )
        path = fetched(address, os.path.join(making.cache, "artifacts", sha256), name, sha256)
        (wheels if name.endswith(".whl") else modules).append(path)
        making.report.say(step="artifacts", done=count + 1, of=len(artifacts), now=name)
    if wheels:
        words = ["pip", "install", "--no-config", "--no-deps", "--no-index", "--python", making.python]
        ask_uv(making, [*words, "--break-system-packages", *wheels], "installing your own packages")
    for path in modules:
        _unpack_modules(making, path)


def _unpack_modules(making: Making, path: str) -> None:
    site = site_packages(making.directory, str(making.environment["python"]))
    target = os.path.join(making.directory, MODULES)
    try:
        with zipfile.ZipFile(path) as files:
            files.extractall(target)
    except (zipfile.BadZipFile, RuntimeError) as error:
        raise CantRestore("wrong_bytes", f"{os.path.basename(path)} can't be unpacked: {error}") from None
    with open(os.path.join(site, MODULES_LINK), "w", encoding="utf-8") as file:
        file.write(os.path.relpath(target, site) + "\n")  # relative: the directory is renamed, and may be packed


def site_packages(directory: str, version: str) -> str:
    """Return where packages of an environment lie."""
    minor = ".".join(version.split(".")[:2])
    return os.path.join(directory, "lib", f"python{minor}", "site-packages")
