"""One software has one hash, and another has another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.boot.environment.projects import distribution
from tradewind import wire
from tradewind.boot.environment.capture import capture, describe, this_platform
from tradewind.boot.environment.indexes import Indexes
from tradewind.boot.environment.sources import Found, Installed
from tradewind.model.environment import Artifact, Environment, Package, Source, seal

words = st.text("abc-", min_size=1, max_size=6)
some_packages = st.builds(
    Package,
    name=words,
    version=words,
    source=st.sampled_from(Source),
    url=words,
    sha256=words,
    build=words,
    extras=st.tuples(words),
    is_requested=st.booleans(),
)
some_installed = st.lists(
    st.builds(
        Installed,
        name=words,
        version=words,
        directory=st.just(Path("x")),
        files=st.just(frozenset[str]()),
        source=st.sampled_from(Source),
        url=words,
    ),
    unique_by=lambda one: one.name,
)


def environment(*packages: Package, **more: object) -> Environment:
    base = Environment(python="3.11.7", platform="linux-x86_64", packages=packages, content_hash="")
    return seal(replace(base, **more))  # type: ignore[arg-type]


@given(some_installed, st.randoms(use_true_random=False))
def test_the_order_in_which_packages_are_found_makes_no_difference(installed: list[Installed], dice: object) -> None:
    shuffled = list(installed)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]

    one, other = (
        describe(Found(installed=tuple(found)), Indexes(), python="3.11.7", platform="linux-x86_64")
        for found in (installed, shuffled)
    )

    assert one == other


CHANGES: list[tuple[str, Callable[[Package], Package], bool]] = [
    ("version", lambda p: replace(p, version="2"), True),
    ("source", lambda p: replace(p, source=Source.CONDA), True),
    ("index", lambda p: replace(p, url="https://other"), True),
    ("hash of its file", lambda p: replace(p, sha256="ab"), True),
    ("build", lambda p: replace(p, build="py311_1"), True),
    ("content that is carried", lambda p: replace(p, artifact="ab"), True),
    ("who asked for it", lambda p: replace(p, is_requested=True), False),
    ("what was asked with it", lambda p: replace(p, extras=("all",)), False),
]


@pytest.mark.parametrize(("change", "counts"), [case[1:] for case in CHANGES], ids=[case[0] for case in CHANGES])
def test_what_a_machine_would_install_makes_the_hash(change: Callable[[Package], Package], counts: bool) -> None:
    before = Package(name="tool", version="1")

    assert (environment(before).content_hash != environment(change(before)).content_hash) is counts


def test_where_a_project_lies_does_not_count() -> None:
    one, other = (
        environment(Package(name="mine", version="1", source=Source.EDITABLE, url=f"file:///home/{who}/mine"))
        for who in ("ada", "bob")
    )

    assert one.content_hash == other.content_hash


@pytest.mark.parametrize(
    "more",
    [
        {"python": "3.12.1"},
        {"platform": "macosx-arm64"},
        {"indexes": ("https://a",)},
        {"channels": ("https://a",)},
        {"artifacts": (Artifact(file_name="a.whl", sha256="ab", size=1),)},
    ],
)
def test_everything_else_counts(more: dict[str, object]) -> None:
    assert environment().content_hash != environment(**more).content_hash


@given(st.lists(some_packages, max_size=3))
def test_an_environment_is_the_same_after_a_journey_as_json(packages: list[Package]) -> None:
    one = environment(*packages)

    other = wire.load_json(Environment, wire.dump_json(one))

    assert other == one
    assert seal(other) == one


def test_what_is_installed_meanwhile_is_seen(tmp_path: Path) -> None:
    def names() -> list[str]:
        found = capture(path=[str(tmp_path)], prefix=str(tmp_path), environ={}, working_directory=tmp_path)
        return [package.name for package in found.packages]

    assert names() == []
    distribution(tmp_path, "tool")

    assert names() == ["tool"]


def test_this_python_has_what_the_tests_import() -> None:
    found = capture()

    assert {"pytest", "hypothesis"} <= {package.name for package in found.packages}
    assert found.platform == this_platform()
    assert len(found.content_hash) == 64
