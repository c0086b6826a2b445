"""What is installed is read as pip, uv and conda wrote it down, whatever half of it is broken."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.boot.environment.projects import (
    UV,
    commit,
    conda_record,
    distribution,
    install,
    project,
    run,
    virtual_environment,
)
from tradewind.boot.environment.capture import capture
from tradewind.boot.environment.sources import Found, _origin, look
from tradewind.model.environment import Environment, Package, Source


def captured(site: Path, prefix: Path | None = None) -> Environment:
    return capture(path=[str(site)], prefix=str(prefix or site), environ={"HOME": str(site)}, working_directory=site)


def packages(site: Path, prefix: Path | None = None) -> dict[str, Package]:
    return {package.name: package for package in captured(site, prefix).packages}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """An environment where uv installed an editable project, a directory, a commit and a file."""
    root = tmp_path_factory.mktemp("installed")
    site = virtual_environment(root / "environment")
    edited = project(root / "edited", "edited", requires="Requires-Dist: dask[array,Data_Frame] >=1\\n")
    copied = project(root / "copied", "copied")
    kept = project(root / "kept", "kept")
    sha = commit(kept)
    run(UV or "uv", "build", "-q", "--offline", "--wheel", "-o", str(root), str(project(root / "packed", "packed")))
    wheel = next(root.glob("packed-*.whl"))
    install(root / "environment", "-e", str(edited), str(copied), f"kept @ git+file://{kept}", str(wheel))
    return {"site": site, "edited": edited, "copied": copied, "kept": kept, "commit": sha, "wheel": wheel}


def test_uv_says_where_each_package_is_from(installed: dict[str, Any]) -> None:
    found = packages(installed["site"])

    assert {name: package.source for name, package in found.items()} == {
        "edited": Source.EDITABLE,
        "copied": Source.DIRECTORY,
        "kept": Source.VCS,
        "packed": Source.ARCHIVE,
    }
    assert found["edited"].url == installed["edited"].as_uri()
    assert found["copied"].url == installed["copied"].as_uri()
    assert found["kept"].url == f"git+{installed['kept'].as_uri()}@{installed['commit']}"
    assert found["packed"].url == installed["wheel"].as_uri()
    assert all(package.is_requested for package in found.values())


def test_pip_says_the_same_as_uv(installed: dict[str, Any], tmp_path: Path) -> None:
    site = tmp_path / "site"
    where = installed["edited"].parent
    words = ["--no-index", "--no-deps", "-q", "--target", str(site), str(where / "copied"), str(installed["wheel"])]
    run(sys.executable, "-m", "pip", "install", *words)

    found = packages(site)

    assert found["copied"].source is Source.DIRECTORY
    assert found["packed"].source is Source.ARCHIVE
    assert len(found["packed"].sha256) == 64


def test_extras_that_a_project_asks_for_are_kept(tmp_path: Path) -> None:
    distribution(tmp_path, "dask")
    distribution(
        tmp_path,
        "mine",
        metadata=b"Name: mine\nVersion: 1.0\nRequires-Dist: dask[array,Data_Frame]>=1 ; python_version > '3'\n",
        direct_url={"url": "file:///home/ada/mine", "dir_info": {"editable": True}},
    )

    assert packages(tmp_path)["dask"].extras == ("array", "data-frame")


ORIGINS: list[tuple[str, object, tuple[Source, str, str]]] = [
    ("nothing", {}, (Source.INDEX, "", "")),
    (
        "a commit, with a password",
        {
            "url": "https://ada:hunter2@git.example.org/lab/tool.git",
            "vcs_info": {"vcs": "git", "commit_id": "f00d", "requested_revision": "main"},
            "subdirectory": "python",
        },
        (Source.VCS, "git+https://git.example.org/lab/tool.git@f00d#subdirectory=python", ""),
    ),
    (
        "an address that is no address",
        {"url": "git@github.com:lab/tool.git", "vcs_info": {"vcs": "git", "commit_id": "f00d"}},
        (Source.VCS, "git+github.com:lab/tool.git@f00d", ""),
    ),
    (
        "a file with hashes",
        {"url": "https://host/t.whl?sig=hunter2", "archive_info": {"hashes": {"sha256": "ab" * 32}}},
        (Source.ARCHIVE, "https://host/t.whl", "ab" * 32),
    ),
    (
        "a file with the hash as it once was",
        {"url": "https://host/t.whl", "archive_info": {"hash": "sha256=" + "ab" * 32}},
        (Source.ARCHIVE, "https://host/t.whl", "ab" * 32),
    ),
    (
        "a hash that is none",
        {"url": "https://host/t.whl", "archive_info": {"hash": "md5=12"}},
        (Source.ARCHIVE, "https://host/t.whl", ""),
    ),
    ("a directory", {"url": "file:///a%20b", "dir_info": {}}, (Source.DIRECTORY, "file:///a%20b", "")),
    ("an editable", {"url": "file:///a", "dir_info": {"editable": True}}, (Source.EDITABLE, "file:///a", "")),
    ("an address alone", {"url": "https://host/x"}, (Source.INDEX, "", "")),
    ("wrong types", {"url": 5, "vcs_info": []}, (Source.INDEX, "", "")),
]


@pytest.mark.parametrize(("origin", "expected"), [case[1:] for case in ORIGINS], ids=[case[0] for case in ORIGINS])
def test_an_origin_is_read(origin: dict[str, object], expected: tuple[Source, str, str]) -> None:
    assert _origin(origin) == expected


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(
                st.sampled_from(["url", "vcs_info", "dir_info", "archive_info", "hashes", "hash", "subdirectory"]),
                inner,
            )
        ),
        max_leaves=8,
    ).filter(lambda value: isinstance(value, dict))
)
def test_no_origin_is_too_strange(origin: dict[str, object]) -> None:
    assert isinstance(_origin(origin)[0], Source)


def test_conda_packages_have_channel_build_and_hash(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    distribution(site, "numpy", "1.26.4", INSTALLER="conda\n")
    conda_record(tmp_path, "numpy", "1.26.4", owns="numpy-1.26.4.dist-info", requested_spec="numpy >=1")
    conda_record(tmp_path, "libblas", "3.9.0", files=["lib/a[1].so"])
    distribution(site, "mine")

    environment = captured(site, tmp_path)

    assert [(p.name, p.source) for p in environment.packages] == [
        ("libblas", Source.CONDA),
        ("mine", Source.INDEX),
        ("numpy", Source.CONDA),
    ]
    assert environment.packages[2] == Package(
        name="numpy",
        version="1.26.4",
        source=Source.CONDA,
        url="https://conda.example.org/forge",
        sha256="ab" * 32,
        build="py311_0",
        subdir="linux-64",
        is_requested=True,
    )
    assert environment.channels == ("https://conda.example.org/forge",)


def test_a_token_of_a_channel_is_not_kept(tmp_path: Path) -> None:
    conda_record(tmp_path, "tool", "1", url="https://host/t/tk-hunter2/lab/noarch/tool-1-0.conda", subdir="noarch")

    assert packages(tmp_path)["tool"].url == "https://host/t/***/lab"


def test_what_pip_put_over_a_conda_package_is_pips(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.11" / "site-packages"
    conda_record(tmp_path, "numpy", "1.26.4", owns="numpy-1.26.4.dist-info")
    distribution(site, "numpy", "2.0.0", INSTALLER="pip\n")

    assert [(p.version, p.source) for p in captured(site, tmp_path).packages] == [("2.0.0", Source.INDEX)]


def test_of_two_on_the_path_the_first_counts(tmp_path: Path) -> None:
    distribution(tmp_path / "first", "tool", "1.0")
    distribution(tmp_path / "second", "tool", "2.0")

    found = look([str(tmp_path / "first"), str(tmp_path / "second")], str(tmp_path))

    assert [one.version for one in found.installed] == ["1.0"]


def test_of_an_update_that_was_cut_short_the_whole_one_counts(tmp_path: Path) -> None:
    distribution(tmp_path, "tool", "1.0")
    half = distribution(tmp_path, "tool", "2.0", record=False)

    found = look([str(tmp_path)], str(tmp_path))

    assert [one.version for one in found.installed] == ["1.0"]
    assert found.broken == (str(half),)


def without_metadata(site: Path) -> None:
    (distribution(site, "tool") / "METADATA").unlink()


def renamed_by_pip(site: Path) -> None:
    distribution(site, "tool").rename(site / "~ool-1.0.dist-info")


def nameless(site: Path) -> None:
    (site / ".dist-info").mkdir()
    (site / ".dist-info" / "METADATA").write_text("Version: 1\n")


@pytest.mark.parametrize("leave", [without_metadata, renamed_by_pip, nameless])
def test_what_is_left_of_a_removal_is_no_package(leave: Any, tmp_path: Path) -> None:
    distribution(tmp_path, "well")
    leave(tmp_path)

    found = look([str(tmp_path)], str(tmp_path))

    assert [one.name for one in found.installed] == ["well"]
    assert len(found.broken) == 1


def test_metadata_that_is_no_utf8_is_read(tmp_path: Path) -> None:
    info = tmp_path / "odd.dist-info"
    info.mkdir()
    (info / "METADATA").write_bytes(b"Name: Odd_Name\nVersion: 3\nAuthor: Jos\xe9\n\nText\n")
    egg = tmp_path / "old-2.egg-info"
    egg.write_bytes(b"Name: old\nVersion: 2\nAuthor: Jos\xe9\n")

    assert {(p.name, p.version) for p in captured(tmp_path).packages} == {("odd-name", "3"), ("old", "2")}


@pytest.mark.parametrize("text", ["", "no json", "[1]", '{"url": 3}', "\ud800".encode(errors="surrogatepass")])
def test_a_broken_origin_counts_as_none(text: str | bytes, tmp_path: Path) -> None:
    info = distribution(tmp_path, "tool")
    (info / "direct_url.json").write_bytes(text if isinstance(text, bytes) else text.encode())

    assert packages(tmp_path)["tool"].source is Source.INDEX


def test_a_project_on_the_path_with_its_egg_info_is_run_where_it_lies(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text("")
    egg = tmp_path / "src" / "mine.egg-info"
    egg.mkdir(parents=True)
    (egg / "PKG-INFO").write_text("Name: mine\nVersion: 0.1\n")

    found = packages(tmp_path / "src")

    assert found["mine"].source is Source.EDITABLE
    assert found["mine"].url == tmp_path.as_uri()


def test_a_broken_record_of_conda_is_left_out(tmp_path: Path) -> None:
    conda_record(tmp_path, "tool", "1")
    (tmp_path / "conda-meta" / "half.json").write_text('{"name": "half", "version"')
    (tmp_path / "conda-meta" / "list.json").write_text(json.dumps([1]))

    assert list(packages(tmp_path)) == ["tool"]


def test_nothing_installed_is_an_environment_too(tmp_path: Path) -> None:
    assert look([], str(tmp_path)) == Found()
    assert captured(tmp_path).packages == ()
