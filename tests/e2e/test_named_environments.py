"""Software with a name, the same with an engine of one's own and with a server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tradewind import Cluster
from tradewind.client.api import Engine
from tradewind.client.door import open_api
from tradewind.errors import BadRequest, NameTaken, NotFound
from tradewind.model.cluster import ClusterSpec, Lifetimes, Scaling
from tradewind.model.environment import Artifact, Environment, Package
from tradewind.model.exchange import NewEnvironment

pytestmark = pytest.mark.both_modes


def software(version: str = "1.0", platform: str = "linux-x86_64") -> Environment:
    packages = (Package(name="distributed", version="2026.8.0"), Package(name="melt", version=version))
    return Environment(python="3.11", platform=platform, packages=packages, content_hash="")


def spec(software: str, name: str = "sea-ice") -> ClusterSpec:
    return ClusterSpec(
        name=name,
        workspace="default",
        provider="fake",
        scaling=Scaling.fixed(1),
        software=software,
        lifetimes=Lifetimes(idle=None, no_client=None),
    )


def make(api: Engine, name: str, *versions: str) -> None:
    for version in versions:
        api.run(api.create_environment(NewEnvironment(name=name, environments=(software(version),))))


def test_a_cluster_runs_the_newest_version_or_the_one_it_names_and_keeps_it(home: Path) -> None:
    api = open_api()
    make(api, "climate", "1.0", "2.0")

    newest = api.run(api.create(spec("climate", "newest")))
    first = api.run(api.create(spec("climate@1", "first")))
    make(api, "climate", "3.0")
    view = api.run(api.view(newest.id))

    assert view.cluster.environment is not None
    assert (view.cluster.environment.name, view.cluster.environment.packages[1].version) == ("climate@2", "2.0")
    assert first.environment is not None
    assert first.environment.packages[1].version == "1.0"
    with pytest.raises(NameTaken, match="climate@1, climate@2 is what clusters first, newest run now"):
        api.run(api.delete_environment("climate"))
    api.run(api.delete_environment("climate", 3))
    for one in (newest, first):
        api.run(api.stop(one.id))
    _until_stopped(api, newest.id, first.id)
    api.run(api.delete_environment("climate"))
    assert "climate" not in {line.name for line in api.run(api.environments())}
    assert api.run(api.view(first.id)).cluster.environment == first.environment


def _until_stopped(api: Engine, *ids: str) -> None:
    for cluster_id in ids:
        view = api.run(api.view(cluster_id))
        while view.cluster.status.is_live:
            view = api.run(api.wait_changed(cluster_id, view.revision, 5))


def test_what_there_is_no_name_for_starts_nothing(home: Path) -> None:
    api = open_api()
    make(api, "ocean", "1.0")

    with pytest.raises(NotFound, match="no ocean@7 .*the newest is ocean@1"):
        api.run(api.dry_run(spec("ocean@7")))
    with pytest.raises(NotFound, match="no environment 'oceans'.*there are .*ocean"):
        api.run(api.create(spec("oceans")))
    with pytest.raises(BadRequest, match="write its name, or name and version"):
        api.run(api.create(spec("climate@latest")))
    assert not api.run(api.list_clusters(live=True))


def test_an_image_is_refused_by_providers_that_run_none(home: Path) -> None:
    api = open_api()
    api.run(api.create_environment(NewEnvironment(name="boxed", image="ghcr.io/lab/climate:2")))

    with pytest.raises(BadRequest, match=r"boxed@1 is the container image ghcr.io/lab/climate:2, and provider 'fake'"):
        api.run(api.create(spec("boxed")))


def test_this_machine_runs_the_python_one_is_in(home: Path) -> None:
    make(open_api(), "here", "1.0")

    with pytest.raises(BadRequest, match="provider 'local' runs the Python you are in"):
        Cluster(software="here", show_widget=False)


def test_files_that_one_computer_has_are_of_no_use_to_others(home: Path, request: pytest.FixtureRequest) -> None:
    api = open_api()
    artifact = Artifact(file_name="ours-0.7-py3-none-any.whl", sha256="ab" * 32, size=9)
    wanted = NewEnvironment(name="files", environments=(replace(software(), artifacts=(artifact,)),))

    if request.node.callspec.params["home"] == "server":
        with pytest.raises(BadRequest, match="only your computer has .*ours-0.7.*--without-local"):
            api.run(api.create_environment(wanted))
    else:
        api.run(api.create_environment(wanted))
        with pytest.raises(BadRequest, match="files@1 needs ours-0.7.* create it again"):
            api.run(api.create(spec("files")))
