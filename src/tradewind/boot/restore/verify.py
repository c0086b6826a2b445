"""Whether what was installed is what was asked for."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

from tradewind.boot.restore.report import CantRestore
from tradewind.boot.restore.tools import minor_of, run

LISTING = """
import json, sys
from importlib.metadata import distributions
found = []
for one in distributions(path=[path for path in sys.path if path.startswith(sys.prefix)]):
    stem = getattr(getattr(one, "_path", None), "name", "")
    name, _, version = stem[: -len(".dist-info")].partition("-") if stem.endswith(".dist-info") else ("", "", "")
    if not version:
        name, version = one.metadata["Name"] or "", one.version or ""
    found.append([name, version])
print(json.dumps({"python": "%d.%d" % sys.version_info[:2], "found": found}))
"""
"""Run by the new Python: that it runs is the first thing to know."""


def verify(environment: Mapping[str, Any], directory: str) -> None:
    """Compare what stands in ``directory`` with what the environment says; raise where they differ."""
    python = os.path.join(directory, "bin", "python")
    try:
        code, text = run([python, "-I", "-c", LISTING], timeout_s=120)
    except OSError as error:
        raise CantRestore("mismatch", f"The new Python doesn't start: {error}") from None
    if code != 0:
        raise CantRestore("mismatch", "The new Python doesn't start; its last lines say why.", text)
    answer = json.loads(text.splitlines()[-1])
    if answer["python"] != minor_of(environment["python"]):
        raise CantRestore("mismatch", f"The new Python is {answer['python']}, wanted was {environment['python']}.")
    found = {normal(name): version for name, version in answer["found"] if name}
    wanted = _wanted(environment)
    conda = _conda_builds(directory)
    differ = [
        f"{name} {version} is {f'there as {found[name]}' if name in found else 'missing'}"
        for name, version in sorted(wanted.items())
        if not _same(found.get(name, ""), version)
    ]
    for package in environment["packages"]:
        if package.get("source") == "conda" and not package.get("artifact"):
            version, build = conda.get(package["name"].lower().replace("_", "-"), ("", ""))
            if (version, build) != (package["version"], package.get("build") or build):
                words = f"there as {version} {build}" if version else "missing"
                differ.append(f"{package['name']} {package['version']} of conda is {words}")
    if not conda:  # one conda package may bring several distributions
        differ += [f"{name} {found[name]} is there and wasn't asked for" for name in sorted(set(found) - set(wanted))]
    if differ:
        more = f" (and {len(differ) - 5} more)" if len(differ) > 5 else ""
        raise CantRestore(
            "mismatch",
            f"What was installed isn't what was asked for: {'; '.join(differ[:5])}{more}. It was thrown away.",
            "\n".join(differ),
        )


def normal(name: str) -> str:
    """Return a package's name as every tool agrees to write it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _wanted(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return the version of each distribution; of a wheel that travelled, the wheel's own.

    A version that is made up when a project is built may differ from the one under which it stands at the caller.
    """
    wheels = {one["sha256"]: one["file_name"] for one in environment.get("artifacts") or []}
    wanted = {}
    for package in environment["packages"]:
        wheel = wheels.get(package.get("artifact") or "", "")
        if wheel.endswith(".whl"):
            name, version = wheel.split("-")[:2]
            wanted[normal(name)] = version
        elif package.get("source") != "conda":
            wanted[normal(package["name"])] = package["version"]
    return wanted


def _conda_builds(directory: str) -> dict[str, tuple[str, str]]:
    """Return version and build of each conda package that stands there."""
    home = os.path.join(directory, "conda-meta")
    found = {}
    for name in os.listdir(home) if os.path.isdir(home) else ():
        if name.endswith(".json"):
            with open(os.path.join(home, name), encoding="utf-8") as file:
                record = json.load(file)
            found[record["name"].lower().replace("_", "-")] = (record["version"], record["build"])
    return found


def _same(found: str, wanted: str) -> bool:
    """Whether two texts are one version: ``2023.04`` is ``2023.4``, ``1.0.0`` is ``1.0``."""
    return found == wanted or (bool(found) and _plain(found) == _plain(wanted))


def _plain(version: str) -> tuple[str, ...]:
    words = re.findall(r"[0-9]+|[a-z]+", version.lower().lstrip("v"))
    words = [word.lstrip("0") or "0" if word.isdigit() else word for word in words]
    while words and words[-1] == "0":
        words.pop()
    return tuple(words)
