"""What the caller is told of software before anything is launched."""

from __future__ import annotations

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from tradewind.boot.environment.translation.memory import place_of, remember
from tradewind.client.planned import dry_run
from tradewind.client.software.ready import Wanted, anew, prepare, target_of, with_software
from tradewind.config import cache_directory
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.environment import Confidence, Difference, Environment, Target, Translation
from tradewind.model.instance import Role
from tradewind.model.offer import Offer
from tradewind.model.resources import Resources
from tradewind.model.usage import Cost
from tradewind.model.views import DryRun, PlannedInstances

SPEC = ClusterSpec(name="mine", workspace="default", provider="far", scaling=Scaling.fixed(1))
ARM = Target(platform="linux-aarch64", glibc="2.36")
FASTER = Difference(
    package="fast", here="1.2.3", there="1.2.4", reason="1.2.3 has no wheel", confidence=Confidence.LIKELY
)
NEAR = Difference(package="bell", here="1.0", there="", reason="macOS only", confidence=Confidence.SURE)


def here(platform: str = "macosx-arm64") -> Environment:
    return Environment(python="3.11.9", platform=platform, packages=(), content_hash="")


def planned(*targets: Target | None) -> DryRun:
    lines = [
        PlannedInstances(
            role=Role.WORKER,
            count=1,
            offer=Offer(provider="far", vm_type="host", resources=Resources(cpus=1, memory=1), target=target),
            why="",
        )
        for target in targets
    ]
    return DryRun(instances=tuple(lines), cost_per_hour=Cost(), notes=("before",))


@pytest.mark.parametrize(
    ("targets", "platform", "arm", "expected"),
    [
        ([ARM, None], "macosx-arm64", False, ARM),
        ([ARM, Target(platform="linux-aarch64", glibc="2.9")], "linux-x86_64", False, "2.9"),
        ([None], "macosx-arm64", False, Target(platform="linux-x86_64")),
        ([None], "win-amd64", True, Target(platform="linux-aarch64", python="3.11")),
        ([None], "linux-aarch64", False, Target(platform="linux-aarch64")),
        ([], "linux-x86_64", False, Target(platform="linux-x86_64")),
    ],
)
def test_machines_are_what_their_provider_says_and_else_linux(
    targets: list[Target | None], platform: str, arm: bool, expected: Target | str
) -> None:
    spec = ClusterSpec(name="mine", workspace="default", provider="far", scaling=Scaling.fixed(1), arm=arm)

    found = target_of(planned(*targets), spec, here(platform))

    assert found == expected or found.glibc == expected


def test_what_is_another_version_is_named_and_the_rest_is_counted() -> None:
    wanted = Wanted(environment=here(), target=ARM, differences=(FASTER, NEAR))

    first, second = wanted.notes()

    assert first == ("On Linux aarch64, 1 package is not as here:\n  fast 1.2.3 → 1.2.4: 1.2.3 has no wheel (likely).")
    assert second.startswith("1 packages come or go with the platform; `tradewind env diff --for linux-aarch64`")


def test_nothing_is_said_where_nothing_differs() -> None:
    assert Wanted(environment=here(), target=ARM).notes() == ()


@pytest.fixture
def translated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Let what was captured have been translated before, for each of the machines: nobody is asked again."""
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("TRADEWIND_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for target in (ARM, Target(platform="linux-x86_64"), Target(platform="linux-aarch64")):
        for platform in ("macosx-arm64", "linux-x86_64"):
            there = replace(here(), platform=f"{target.platform} {target.glibc}".strip())
            place = place_of(here(platform), replace(target, python="3.11"), (), cache_directory())
            remember(Translation(environment=there, differences=(FASTER,)), place)


@pytest.mark.usefixtures("translated")
def test_a_dry_run_says_what_will_differ() -> None:
    assert "fast 1.2.3 → 1.2.4" in with_software(planned(None), SPEC, here=here()).notes[-1]


class Names:
    """Runs what has a name, and can't say what machines need of the caller's own."""

    def run(self, value: DryRun) -> DryRun:
        return value

    def dry_run(self, spec: ClusterSpec) -> DryRun:
        return planned(None)

    def needs_software(self, provider: str) -> bool:
        raise AssertionError("nobody wants to know what is installed here")


def test_a_dry_run_of_a_name_asks_nothing_of_the_callers_own_software() -> None:
    assert dry_run(replace(SPEC, software="climate"), Names()) == planned(None)


@pytest.mark.usefixtures("translated")
def test_the_start_says_it_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="tradewind"):
        prepare(SPEC, planned(None), (), here=here())

    assert "fast 1.2.3 → 1.2.4: 1.2.3 has no wheel (likely)" in caplog.text


@pytest.mark.usefixtures("translated")
@pytest.mark.parametrize(
    ("target", "is_streamed", "platform"),
    [
        (ARM, False, "linux-aarch64 2.36"),
        (ARM, True, "linux-aarch64 2.36"),
        (None, False, "linux-x86_64"),
        (None, True, "macosx-arm64"),
    ],
)
def test_what_is_streamed_to_machines_that_nobody_knows_stays_as_it_is(
    target: Target | None, is_streamed: bool, platform: str
) -> None:
    assert prepare(SPEC, planned(target), (), is_streamed=is_streamed, here=here()).platform == platform


@pytest.mark.usefixtures("translated")
@pytest.mark.parametrize(
    ("before", "target", "platform"),
    [
        ("linux-aarch64", ARM, "linux-aarch64 2.36"),
        ("linux-x86_64", None, "linux-x86_64"),
        ("macosx-arm64", ARM, "macosx-arm64"),
        (None, None, "macosx-arm64"),
    ],
)
def test_a_running_cluster_gets_software_for_the_machines_it_has(
    before: str | None, target: Target | None, platform: str
) -> None:
    offers = [line.offer for line in planned(target).instances]
    ran = here(before) if before is not None else None

    assert anew(here(), SPEC, ran, offers, ()).platform == platform
