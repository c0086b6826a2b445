"""What a machine is told to have, of what the caller's side sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tradewind.engine.rounds.apply import software_for
from tradewind.errors import Rejected
from tradewind.model.cluster import Cluster, ClusterSpec, Intent, ScaleMemory, Scaling
from tradewind.model.environment import Artifact, Environment, Package, Source, seal
from tradewind.testing.clock import START

WHEEL = Artifact(file_name="mine-1.0-py3-none-any.whl", sha256="a" * 64, size=10)
MINE = Package(name="mine", version="1.0", source=Source.EDITABLE, artifact=WHEEL.sha256)
NUMPY = Package(name="numpy", version="2.0")


def cluster(*packages: Package, artifacts: tuple[Artifact, ...] = ()) -> Cluster:
    environment = Environment(
        python="3.11.7", platform="linux-x86_64", packages=packages, content_hash="", artifacts=artifacts
    )
    spec = ClusterSpec(name="c", workspace="lab", provider="fake", scaling=Scaling.fixed(1))
    return Cluster(
        id="c1",
        spec=spec,
        intent=Intent(scaling=spec.scaling),
        owner="ada",
        created_at=START,
        scale=ScaleMemory(wanted=1),
        environment=seal(environment),
    )


def test_a_package_whose_file_is_there_is_given_with_it() -> None:
    asked = cluster(MINE, NUMPY, artifacts=(WHEEL,))

    software = software_for(asked)

    assert software is not None
    assert software.environment == asked.environment
    assert set(software.files) == {WHEEL.sha256}


def test_a_package_whose_file_its_caller_brings_later_is_left_out() -> None:
    software = software_for(cluster(MINE, NUMPY))

    assert software is not None
    assert software.environment.packages == (NUMPY,)
    other = software_for(cluster(replace(MINE, artifact="b" * 64), NUMPY))
    assert other is not None
    assert other.environment == software.environment, "edited code makes no other environment of a machine"


def test_tradewind_itself_can_not_be_brought_later() -> None:
    with pytest.raises(Rejected, match="tradewind is installed from a directory"):
        software_for(cluster(replace(MINE, name="tradewind"), NUMPY))
