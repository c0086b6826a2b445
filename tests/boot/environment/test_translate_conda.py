"""Conda packages of another platform: the real solver, and a channel that lists what the test says."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hosts.index import served
from tradewind.boot.environment.translate import translate
from tradewind.boot.environment.translation.markers import Known
from tradewind.errors import BadRequest
from tradewind.model.environment import (
    Confidence,
    Difference,
    Environment,
    Package,
    Source,
    Target,
    Translation,
    seal,
)

pytest.importorskip("rattler")

TO_LINUX = Target(platform="linux-x86_64")
SUBDIRS = ("osx-arm64", "linux-64", "linux-aarch64", "noarch")


@dataclass
class Channel:
    """Listings alone: to decide what to install, nobody reads a package."""

    root: Path
    address: str = ""

    def add(self, subdir: str, name: str, version: str, *depends: str, build: str = "0") -> None:
        """List one package; each subdir's listing is written anew."""
        for known in SUBDIRS:
            path = self.root / known / "repodata.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            listing = (
                json.loads(path.read_text())
                if path.exists()
                else {"info": {"subdir": known}, "packages": {}, "packages.conda": {}}
            )
            if known == subdir:
                listing["packages.conda"][f"{name}-{version}-{build}.conda"] = {
                    **{"name": name, "version": version, "build": build, "build_number": 0, "subdir": subdir},
                    **{"depends": list(depends), "sha256": "ab" * 32, "size": 1},
                }
            path.write_text(json.dumps(listing))


@pytest.fixture
def channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Channel]:
    monkeypatch.setenv("RATTLER_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "channel"
    root.mkdir()
    with served(root, "127.0.0.1") as (address, _):
        made = Channel(root, address)
        for subdir in ("osx-arm64", "linux-64", "linux-aarch64"):
            for version in ("3.11.9", "3.12.1"):
                made.add(subdir, "python", version)
        yield made


def captured(
    channel: Channel, pins: Mapping[str, str], asked: Sequence[str], pip: Sequence[Package] = ()
) -> Environment:
    pins = {"python": "3.11.9", **pins}
    packages = [
        Package(
            name=name,
            version=version,
            source=Source.CONDA,
            url=channel.address,
            build="0",
            subdir="osx-arm64",
            is_requested=name in asked,
        )
        for name, version in sorted(pins.items())
    ]
    return seal(
        Environment(
            python="3.11.9",
            platform="macosx-arm64",
            packages=tuple(sorted([*packages, *pip], key=lambda one: (one.name, one.source.value))),
            content_hash="",
            channels=(channel.address,),
        )
    )


def there(found: Translation) -> dict[str, str]:
    return {package.name: package.version for package in found.environment.packages}


def difference(found: Translation, name: str) -> Difference:
    (one,) = [one for one in found.differences if one.package == name]
    return one


def test_the_same_versions_are_taken_in_builds_for_the_target(channel: Channel) -> None:
    channel.add("linux-64", "numpy", "1.26.4", "libblas", build="lin_0")
    channel.add("linux-64", "numpy", "2.0.0", build="lin_0")
    channel.add("linux-64", "libblas", "3.9.0")
    channel.add("noarch", "xarray", "2024.1", "numpy")
    channel.add("noarch", "xarray", "2025.1", "numpy")
    here = captured(channel, {"numpy": "1.26.4", "xarray": "2024.1", "libblas": "3.9.0"}, ["xarray", "python"])

    found = translate(here, TO_LINUX, known={})

    assert there(found) == {"libblas": "3.9.0", "numpy": "1.26.4", "python": "3.11.9", "xarray": "2024.1"}
    assert found.differences == ()
    numpy = next(package for package in found.environment.packages if package.name == "numpy")
    assert (numpy.build, numpy.subdir, numpy.url) == ("lin_0", "linux-64", channel.address)
    assert numpy.sha256 == "ab" * 32
    assert found.environment.python == "3.11.9"


def test_what_only_this_platform_needs_stays_away_and_what_the_other_needs_comes_in(channel: Channel) -> None:
    channel.add("linux-64", "numpy", "1.26.4", "libgcc")
    channel.add("linux-64", "libgcc", "13.2")
    channel.add("linux-64", "libcxx", "16.0")
    here = captured(channel, {"numpy": "1.26.4", "libcxx": "16.0", "appnope": "0.1"}, ["numpy", "python"])

    found = translate(here, TO_LINUX, known={})

    assert there(found) == {"libgcc": "13.2", "numpy": "1.26.4", "python": "3.11.9"}
    assert difference(found, "libgcc").here == ""
    assert "nothing needs it" in difference(found, "libcxx").reason
    assert "conda has it for other platforms" in difference(found, "appnope").reason
    assert {one.confidence for one in found.differences} == {Confidence.SURE}


@pytest.mark.parametrize(
    ("on_linux", "taken", "confidence"),
    [
        (["1.26.5", "1.27.0"], "1.26.5", Confidence.LIKELY),
        (["1.27.0", "2.0.0"], "1.27.0", Confidence.GUESS),
        (["2.0.0"], "2.0.0", Confidence.GUESS),
    ],
)
def test_a_version_that_is_not_there_gives_way_to_a_near_one(
    channel: Channel, on_linux: list[str], taken: str, confidence: Confidence
) -> None:
    for version in on_linux:
        channel.add("linux-64", "numpy", version)
    here = captured(channel, {"numpy": "1.26.4"}, ["numpy", "python"])

    found = translate(here, TO_LINUX, known={})

    assert there(found)["numpy"] == taken
    one = difference(found, "numpy")
    assert one.confidence is confidence
    assert "conda has no 1.26.4 for Linux x86_64" in one.reason


def test_what_came_along_gives_way_before_what_was_asked_for(channel: Channel) -> None:
    channel.add("linux-64", "netcdf4", "1.6.5", "hdf5 >=1.14.3")
    channel.add("linux-64", "netcdf4", "1.6.4", "hdf5 1.14.2")
    channel.add("linux-64", "hdf5", "1.14.2")
    channel.add("linux-64", "hdf5", "1.14.3")
    here = captured(channel, {"netcdf4": "1.6.5", "hdf5": "1.14.2"}, ["netcdf4", "python"])

    found = translate(here, TO_LINUX, known={})

    assert there(found) == {"hdf5": "1.14.3", "netcdf4": "1.6.5", "python": "3.11.9"}
    assert difference(found, "hdf5").confidence is Confidence.LIKELY


def test_what_can_not_be_had_together_is_refused_in_the_solvers_words(channel: Channel) -> None:
    channel.add("linux-64", "one", "1.0", "base 1.*")
    channel.add("linux-64", "other", "1.0", "base 2.*")
    channel.add("linux-64", "base", "1.0")
    channel.add("linux-64", "base", "2.0")
    here = captured(channel, {"one": "1.0", "other": "1.0"}, ["one", "other", "python"])

    with pytest.raises(BadRequest, match=r"(?s)can't be had together on Linux x86_64.*base.*package_sync_ignore"):
        translate(here, TO_LINUX, known={})


def test_a_channel_that_does_not_answer_is_named(channel: Channel) -> None:
    here = captured(channel, {}, ["python"])
    here = Environment(
        **{**{name: getattr(here, name) for name in here.__slots__}, "channels": ("http://127.0.0.1:9",)}
    )

    with pytest.raises(BadRequest, match=r"conda channels can't be asked \(http://127.0.0.1:9\)"):
        translate(here, TO_LINUX, known={})


def test_another_python_is_asked_of_the_channel(channel: Channel) -> None:
    here = captured(channel, {}, ["python"])

    found = translate(here, Target(platform="linux-x86_64", python="3.12"), known={})

    assert found.environment.python == "3.12.1"
    assert difference(found, "python").there.startswith("3.12")


def test_what_conda_has_is_not_taken_from_an_index_for_what_pip_put_on_top(
    channel: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.boot.environment.shelf import ANY, shelf

    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    channel.add("linux-64", "numpy-base", "1.26.4")
    here = captured(
        channel, {"numpy-base": "1.26.4"}, ["numpy-base", "python"], [Package(name="on-top", version="1.0")]
    )
    with shelf(tmp_path / "shelf") as index:
        index.add("on-top", "1.0", ANY, requires=["numpy"])
        index.add("numpy", "2.0", ANY)
        facts = {**{name: getattr(here, name) for name in here.__slots__}, "indexes": (index.address,)}

        found = translate(
            Environment(**facts),
            TO_LINUX,
            known={
                "on-top": Known(version="1.0", requires=("numpy",)),
                "numpy": Known(version="1.26.4", is_of_conda=True),
            },
        )

    assert there(found) == {"numpy-base": "1.26.4", "on-top": "1.0", "python": "3.11.9"}
