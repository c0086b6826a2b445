"""Which packages go to machines, in Coiled's three words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.boot.environment.choose import ALWAYS, choose
from tradewind.boot.environment.translation.markers import Known
from tradewind.boot.environment.translation.relax import Step, rungs, step_between
from tradewind.errors import BadRequest
from tradewind.model.environment import Artifact, Environment, Package, PackageChoice, Source, seal

KNOWN = {
    "dask": Known(version="1", requires=("cloudpickle", "toolz", "pandas ; extra == 'dataframe'")),
    "xarray": Known(version="1", requires=("numpy>=1.2", "huge ; sys_platform == 'win32'")),
}
NAMES = ("cloudpickle", "dask", "distributed", "huge", "numpy", "pandas", "toolz", "tornado", "xarray")
HERE = seal(
    Environment(
        python="3.11.9",
        platform="linux-x86_64",
        packages=tuple(Package(name=name, version="1") for name in NAMES),
        content_hash="",
    )
)


def names(environment: Environment) -> set[str]:
    return {package.name for package in environment.packages}


def test_without_a_choice_it_is_the_same() -> None:
    assert choose(HERE, PackageChoice(), KNOWN) is HERE


def test_what_is_ignored_is_left_out_in_whatever_way_it_is_written_and_another_hash_says_so() -> None:
    found = choose(HERE, PackageChoice(ignore=("HUGE", "not.there")), KNOWN)

    assert names(found) == set(NAMES) - {"huge"}
    assert found.content_hash != HERE.content_hash


def test_only_takes_what_is_named_with_what_it_and_dask_need() -> None:
    found = choose(HERE, PackageChoice(only=("xarray",)), KNOWN)

    assert names(found) == {"xarray", "numpy", "dask", "distributed", "cloudpickle", "toolz", "tornado"}


def test_what_workers_do_not_start_without_can_not_be_ignored() -> None:
    with pytest.raises(BadRequest, match="dask can't be left out"):
        choose(HERE, PackageChoice(ignore=("Dask",)), KNOWN)


def test_only_what_is_not_installed_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadRequest, match="'nunpy' isn't installed here; did you mean 'numpy'"):
        choose(HERE, PackageChoice(only=("nunpy",)), KNOWN)


def test_a_wheel_of_what_is_left_out_stays_here_and_plain_modules_travel() -> None:
    wheel = Artifact(file_name="huge-1-py3-none-any.whl", sha256="a" * 64, size=1)
    modules = Artifact(file_name="modules-b.zip", sha256="b" * 64, size=1)
    packages = tuple(replace(p, artifact=wheel.sha256) if p.name == "huge" else p for p in HERE.packages)
    here = replace(HERE, packages=packages, artifacts=(wheel, modules))

    assert choose(here, PackageChoice(ignore=("huge",)), KNOWN).artifacts == (modules,)


def test_what_conda_brought_along_stays() -> None:
    conda = [Package(name="libblas", version="1", source=Source.CONDA)]
    conda += [Package(name="gdal", version="1", source=Source.CONDA, is_requested=True)]
    here = replace(HERE, packages=(*HERE.packages, *conda))

    assert {"libblas", "gdal"} & names(choose(here, PackageChoice(only=("numpy",)), KNOWN)) == {"libblas"}


@given(only=st.sets(st.sampled_from(NAMES), min_size=1), ignore=st.sets(st.sampled_from(sorted(set(NAMES) - ALWAYS))))
def test_dask_is_always_there_and_nothing_that_is_ignored_ever(only: set[str], ignore: set[str]) -> None:
    found = names(choose(HERE, PackageChoice(only=tuple(only), ignore=tuple(ignore)), KNOWN))

    assert {"dask", "distributed", "cloudpickle", "tornado"} <= found
    assert not ignore & found
    assert only - ignore <= found


@pytest.mark.parametrize(
    ("version", "tries"),
    [
        ("1.2.3", [">1.2.3,==1.2.*", "<1.2.3,==1.2.*", ">1.2.3,==1.*", "<1.2.3,==1.*", ">1.2.3", "<1.2.3"]),
        ("306", [">306,==306.*", "<306,==306.*", ">306", "<306"]),
        ("2.1+cu118", ["==2.1", ">2.1,==2.*", "<2.1,==2.*", ">2.1", "<2.1"]),
        ("not a version", []),
    ],
)
def test_the_nearest_versions_are_tried_first(version: str, tries: list[str]) -> None:
    assert [rung.allows for rung in rungs(version)] == tries


@pytest.mark.parametrize(
    ("here", "there", "step"),
    [
        ("1.2.3", "1.2.4", Step.PATCH),
        ("1.2.3", "1.2", Step.PATCH),
        ("1.2.3", "1.2.3.post1", Step.PATCH),
        ("1.2.3", "1.3.0", Step.MINOR),
        ("1.2.3", "2.2.3", Step.MAJOR),
        ("1.2", "1!1.2", Step.MAJOR),
        ("1.2+cpu", "1.2", Step.BUILD),
    ],
)
def test_how_far_two_versions_are_apart(here: str, there: str, step: Step) -> None:
    assert step_between(here, there) is step
    assert step_between(there, here) is step
