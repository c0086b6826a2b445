"""Software is given a name in a terminal, listed, shown and deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Run
from tradewind.cli import named_env
from tradewind.client.software import ready as software
from tradewind.model.environment import Confidence, Difference, Environment, Package, Target, Translation, seal

pytestmark = pytest.mark.usefixtures("nothing_yet")
Ask = Callable[..., Any]
LOCK = """
lock-version = "1.0"

[[packages]]
name = "distributed"
version = "{version}"
wheels = [{{ url = "https://files.example/distributed-{version}-py3-none-any.whl", hashes = {{ sha256 = "ab" }} }}]
"""


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A file that needs no network."""
    file = tmp_path / "pylock.toml"
    file.write_text(LOCK.format(version="2026.8.0"))
    return file


def test_without_any_it_says_how_to_make_one(run: Run) -> None:
    assert "tradewind env create NAME --from requirements.txt" in run("env", "list").stdout


def test_what_is_made_is_listed_shown_compared_and_made_anew_only_if_it_differs(run: Run, ask: Ask, lock: Path) -> None:
    first = run("env", "create", "climate", "--from", str(lock), "--note", "of the paper")
    again = run("env", "create", "climate", "--from", str(lock))
    lock.write_text(LOCK.format(version="2026.9.0"))
    both = ("--platform", "linux-x86_64", "--platform", "linux-aarch64")
    second = run("env", "create", "climate", "--from", str(lock), *both)

    assert "climate@1: 1 packages" in first.stdout
    assert 'software="climate"' in first.stdout.replace("'", '"')
    assert "climate@1 has this very content: nothing was made." in again.stdout
    assert "linux-x86_64, linux-aarch64" in second.stdout
    assert [(one["version"], one["versions"]) for one in ask("env", "list")] == [(2, 2)]
    assert [one["note"] for one in ask("env", "list", "climate")] == ["", "of the paper"]
    shown = run("env", "show", "climate@1").stdout
    assert "of the paper" in shown
    assert "distributed  2026.8.0" in shown
    assert ask("env", "show", "climate")["environments"][1]["platform"] == "linux-aarch64"
    assert [one["name"] for one in ask("env", "diff", "climate@1", "climate")["packages"]] == ["distributed"]


def test_all_versions_are_deleted_after_a_yes_alone(run: Run, ask: Ask, lock: Path) -> None:
    for version in ("2026.7.0", "2026.8.0"):
        lock.write_text(LOCK.format(version=version))
        run("env", "create", "climate", "--from", str(lock))

    assert run("env", "delete", "climate", input="n\n").exit_code == 1
    assert len(ask("env", "list", "climate")) == 2
    assert run("env", "delete", "climate@1").exit_code == 0
    assert [one["version"] for one in ask("env", "list", "climate")] == [2]
    assert run("env", "delete", "climate", "--yes").exit_code == 0
    assert ask("env", "list") == []


def test_an_image_is_kept_by_its_name(run: Run, ask: Ask) -> None:
    said = run("env", "create", "boxed", "--image", "ghcr.io/lab/climate:2").stdout
    made = ask("env", "create", "boxed", "--image", "ghcr.io/lab/climate:2")

    assert "No provider runs images yet" in said
    assert made["version"]["image"] == "ghcr.io/lab/climate:2"
    assert "container image ghcr.io/lab/climate:2" in run("env", "show", "boxed").stdout
    assert "what is in it isn't known" in run("env", "diff", "boxed").output


FASTER = Difference(
    package="fast", here="1.2.3", there="1.2.4", reason="1.2.3 has no wheel", confidence=Confidence.LIKELY
)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> list[Target]:
    """This Python has three packages, and some of them are of another version on ARM; return what was asked for."""
    asked: list[Target] = []
    packages = tuple(Package(name=name, version="1.2.3") for name in ("distributed", "fast", "tradewind"))

    def translate(environment: Environment, target: Target, **_: object) -> Translation:
        asked.append(target)
        if target.platform == environment.platform:
            return Translation(environment=environment)
        return Translation(environment=seal(replace(environment, platform=target.platform)), differences=(FASTER,))

    here = seal(Environment(python="3.11.7", platform="linux-x86_64", packages=packages, content_hash=""))
    monkeypatch.setattr(named_env, "capture", lambda: here)
    monkeypatch.setattr(software, "translate", translate)
    monkeypatch.setattr(software, "carry", lambda environment, cache, **_: environment)
    return asked


def test_this_python_is_kept_for_other_machines_as_a_cluster_there_would_have_it(
    run: Run, ask: Ask, elsewhere: list[Target]
) -> None:
    words = ("--platform", "linux-x86_64", "--platform", "linux-aarch64", "--python", "3.11")
    said = run("env", "create", "mine", "--this", *words)

    assert "mine@1: 2 packages for linux-x86_64, linux-aarch64." in said.stdout
    assert "On Linux aarch64, 1 package is not as here" in said.stdout
    assert "fast 1.2.3 → 1.2.4" in said.stdout
    assert [(one.platform, one.python) for one in elsewhere] == [("linux-x86_64", "3.11"), ("linux-aarch64", "3.11")]
    kept = ask("env", "show", "mine")["environments"]
    assert [[package["name"] for package in one["packages"]] for one in kept] == [["distributed", "fast"]] * 2


@pytest.mark.usefixtures("elsewhere")
def test_of_this_python_a_package_can_be_left_out(run: Run, ask: Ask) -> None:
    assert run("env", "create", "mine", "--this", "--ignore", "fast").exit_code == 0

    (kept,) = ask("env", "show", "mine")["environments"]
    assert [package["name"] for package in kept["packages"]] == ["distributed"]


WRONG = [
    (("env", "create", "climate", "--from", "x.txt", "--ignore", "fast"), 2, "--ignore is for --this"),
    (("env", "create", "climate"), 2, "--from FILE, --image REF or --this"),
    (("env", "create", "climate", "--this", "--image", "a"), 2, "--from FILE, --image REF or --this"),
    (
        ("env", "create", "climate", "--image", "a", "--python", "3.11"),
        2,
        "--platform and --python are for --from and --this",
    ),
    (("env", "create", "Climate", "--from", "x.txt"), 1, "can't be an environment's name"),
    (("env", "create", "climate", "--from", "none.txt"), 1, "there is no file"),
    (("env", "create", "climate", "--image", "user:pass word"), 1, "can't be an image"),
    (("env", "list", "climate"), 1, "none was made yet"),
    (("env", "delete", "climate@3"), 1, "there is no environment 'climate'"),
    (("env", "delete", "climate@x"), 1, "write its name, or name and version, as climate@3"),
    (("env", "show", "climate@1"), 1, "there is no environment 'climate'"),
]


@pytest.mark.parametrize(("words", "code", "said"), WRONG, ids=[" ".join(words) for words, _, _ in WRONG])
def test_a_wrong_word_is_answered_with_what_to_do(words: tuple[str, ...], code: int, said: str, run: Run) -> None:
    result = run(*words)

    assert result.exit_code == code
    assert said in " ".join(result.output.split())


def test_packages_without_what_workers_need_get_no_name(run: Run, lock: Path) -> None:
    lock.write_text(LOCK.replace('"distributed"', '"melt"').format(version="1.0"))

    result = run("env", "create", "climate", "--from", str(lock))

    assert result.exit_code == 1
    assert "has no distributed" in result.output
    assert "add dask and distributed" in " ".join(result.output.split())


def test_an_address_with_a_password_gets_no_name(run: Run, tmp_path: Path, lock: Path, ask: Ask) -> None:
    """What the reader already cuts out, the engine refuses from whoever sends it."""
    from tradewind import wire
    from tradewind.cli.terminal import engine
    from tradewind.errors import BadRequest
    from tradewind.model.exchange import NewEnvironment

    packages = [{"name": "distributed", "version": "1", "url": "https://ada:secret@lab.example/simple"}]
    data = {"python": "3.11", "platform": "linux-x86_64", "packages": packages, "content_hash": ""}
    wanted = NewEnvironment(name="climate", environments=(wire.load_json(Environment, json.dumps(data)),))
    with (
        engine() as api,
        pytest.raises(
            BadRequest, match=r"packages\[distributed\].url: the address at lab.example has a user or a password"
        ) as caught,
    ):
        api.run(api.create_environment(wanted))
    assert "secret" not in str(caught.value)
