"""What was installed is compared with what was asked for."""

from __future__ import annotations

import shutil
import sys
import venv
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.boot.restore.machine import MINOR, environment
from tradewind.boot.restore.report import CantRestore
from tradewind.boot.restore.verify import verify
from tradewind.model.environment import Artifact, Package, Source


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """An environment with alpha 1.0 and beta 2023.4."""
    venv.create(tmp_path / "made", symlinks=True)
    add(tmp_path / "made", "alpha", "1.0")
    add(tmp_path / "made", "Beta_Two", "2023.4")
    return tmp_path / "made"


def add(directory: Path, name: str, version: str) -> Path:
    place = directory / "lib" / f"python{MINOR}" / "site-packages" / f"{name}-{version}.dist-info"
    place.mkdir()
    (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return place


def wanted(alpha: str = "1.0", beta: str = "2023.4", **more: str) -> dict[str, object]:
    versions = {"alpha": alpha, "beta-two": beta, **more}
    packages = (Package(name=name, version=version) for name, version in versions.items())
    return asdict(environment(*packages))


@pytest.mark.parametrize(("alpha", "beta"), [("1.0", "2023.4"), ("1.0.0", "2023.04"), ("1", "v2023.4")])
def test_the_same_is_the_same_however_it_is_written(made: Path, alpha: str, beta: str) -> None:
    verify(wanted(alpha, beta), str(made))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"alpha": "1.1"}, "alpha 1.1 is there as 1.0"),
        ({"alpha": "10"}, "alpha 10 is there as 1.0"),
        ({"beta": "2023.40"}, "beta-two 2023.40 is there as 2023.4"),
        ({"alpha": "1.0+cpu"}, r"alpha 1.0\+cpu is there as 1.0"),
        ({"gamma": "1.0"}, "gamma 1.0 is missing"),
    ],
)
def test_another_version_or_none_is_told(made: Path, asked: dict[str, str], told: str) -> None:
    with pytest.raises(CantRestore, match=told):
        verify(wanted(**asked), str(made))


def test_what_nobody_asked_for_is_told(made: Path) -> None:
    add(made, "stowaway", "3.0")

    with pytest.raises(CantRestore, match=r"stowaway 3\.0 is there and wasn't asked for"):
        verify(wanted(), str(made))


def test_a_conda_build_that_is_missing_is_told(made: Path) -> None:
    sea = Package(name="sea_level", version="1.0", build="py_0", source=Source.CONDA)

    with pytest.raises(CantRestore, match="sea_level 1.0 of conda is missing"):
        verify(asdict(environment(sea)), str(made))


def test_a_wheel_that_travelled_counts_by_its_own_version(made: Path) -> None:
    add(made, "mine", "0.2.dev7")
    wheel = Artifact(file_name="mine-0.2.dev7-py3-none-any.whl", sha256="a" * 64, size=1)
    mine = Package(name="mine", version="0.2.dev3", source=Source.EDITABLE, artifact="a" * 64)
    others = (Package(name="alpha", version="1.0"), Package(name="beta-two", version="2023.4"))

    verify(asdict(environment(*others, mine, artifacts=(wheel,))), str(made))


def test_another_python_is_told(made: Path) -> None:
    asked = {**wanted(), "python": f"3.{sys.version_info[1] + 1}.0"}

    with pytest.raises(CantRestore, match=f"The new Python is {MINOR}"):
        verify(asked, str(made))


def test_a_python_that_does_not_start_is_told(made: Path) -> None:
    shutil.rmtree(made / "bin")

    with pytest.raises(CantRestore, match="doesn't start"):
        verify(wanted(), str(made))
