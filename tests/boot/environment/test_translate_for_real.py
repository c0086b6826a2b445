"""Environments as laptops have them, translated with the real package index."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tradewind.boot.environment.indexes import PYPI
from tradewind.boot.environment.translate import translate
from tradewind.boot.environment.translation.markers import Known
from tradewind.boot.environment.translation.uv import find_program
from tradewind.model.environment import Confidence, Environment, Package, Source, Target, Translation, seal

CAPTURED = Path(__file__).parent / "captured"
pytestmark = pytest.mark.network


@pytest.fixture(autouse=True)
def _usual_index(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_")) and name != "UV_CACHE_DIR"]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    try:
        urllib.request.urlopen(f"{PYPI}/tzdata/", timeout=10).close()
    except (urllib.error.URLError, OSError) as error:
        pytest.skip(f"{PYPI} can't be reached: {error}")
    find_program()


def captured(platform: str) -> tuple[Environment, dict[str, Known]]:
    facts = json.loads((CAPTURED / f"{platform}.json").read_text())
    packages = facts["packages"]
    environment = Environment(
        python=facts["python"],
        platform=platform,
        packages=tuple(
            Package(name=name, version=one["version"], is_requested=one["requested"]) for name, one in packages.items()
        ),
        content_hash="",
    )
    known = {
        name: Known(version=one["version"], requires=tuple(one["requires"]), tags=tuple(one["tags"]))
        for name, one in packages.items()
    }
    return seal(environment), known


def changes(found: Translation) -> dict[str, tuple[str, str, Confidence]]:
    return {one.package: (one.here, one.there, one.confidence) for one in found.differences}


def test_a_mac_s_environment_runs_on_linux_without_what_is_of_macs() -> None:
    here, known = captured("macosx-arm64")

    found = translate(here, Target(platform="linux-x86_64"), known=known)

    differ = changes(found)
    for name in ("appnope", "pyobjc-core", "pyobjc-framework-cocoa"):
        assert differ.pop(name)[1:] == ("", Confidence.SURE)
    assert differ.pop("proxy-tools") == ("0.1.0", "0.1.0", Confidence.LIKELY)
    # What pywebview needs on Linux depends on what its newest helpers need.
    assert all(before == "" and confidence is Confidence.SURE for before, _, confidence in differ.values()), differ
    versions = {package.name: package for package in found.environment.packages}
    for name in ("numpy", "pandas", "xarray", "netcdf4", "psutil", "ipython"):
        assert versions[name].version == known[name].version
    assert versions["proxy-tools"].source is Source.DIRECTORY


def test_a_windows_environment_runs_on_linux_without_what_is_of_windows() -> None:
    here, known = captured("win-amd64")

    found = translate(here, Target(platform="linux-x86_64"), known=known)

    differ = changes(found)
    assert differ.pop("colorama") == ("0.4.6", "", Confidence.SURE)
    assert differ.pop("pywin32") == ("306", "", Confidence.GUESS)  # wmi needs it, and doesn't say that that is Windows'
    assert all(before == "" for before, _, _ in differ.values()), differ
    assert {"numpy", "netcdf4", "wmi"} <= {package.name for package in found.environment.packages}


def test_an_arm_environment_runs_on_x86_in_the_same_versions() -> None:
    here, known = captured("linux-aarch64")

    found = translate(here, Target(platform="linux-x86_64", glibc="2.36"), known=known)

    assert found.differences == ()
    assert found.environment.packages == here.packages


def test_what_has_no_wheel_for_arm_is_taken_in_the_nearest_version_that_has() -> None:
    here, known = captured("macosx-arm64")

    found = translate(here, Target(platform="linux-aarch64"), known=known)

    differ = changes(found)
    assert differ["psutil"] == ("5.9.8", "6.0.0", Confidence.GUESS)
    assert differ["cftime"] == ("1.6.3", "1.6.4", Confidence.LIKELY)


def test_nobody_needs_to_know_what_packages_require() -> None:
    here, _ = captured("win-amd64")

    found = translate(here, Target(platform="linux-x86_64"), known={})

    differ = changes(found)
    assert differ.pop("pywin32")[1] == ""
    assert all(before == "" for before, _, _ in differ.values()), differ
