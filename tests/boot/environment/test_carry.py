"""What no index has travels as it is here, once, and not more than that."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from tests.boot.environment.projects import (
    UV,
    commit,
    distribution,
    git,
    install,
    project,
    run,
    virtual_environment,
)
from tradewind.boot.environment import build, carry
from tradewind.boot.environment.capture import capture
from tradewind.boot.environment.carry import place_of
from tradewind.engine.rounds.software import base_of
from tradewind.errors import BadRequest
from tradewind.model.environment import Artifact, Environment, Package

MEBIBYTE = 2**20


@dataclass
class Desk:
    """A user's environment, working directory and cache."""

    root: Path
    site: Path
    work: Path
    said: list[str] = field(default_factory=list)

    def carry(self, **more: object) -> Environment:
        environ = cast("dict[str, str]", more.pop("environ", {}))
        path = [str(self.site), *(str(entry) for entry in self._linked())]
        environment = capture(path=path, prefix=str(self.site.parents[2]), environ=environ, working_directory=self.work)
        given: dict[str, object] = {"path": path, "working_directory": self.work, "say": self.said.append, **more}
        given.setdefault("known", lambda asked: {one.name for one in asked})
        return carry.carry(environment, self.root / "cache", **given)  # type: ignore[arg-type]

    def _linked(self) -> list[Path]:
        return [Path(line) for pth in self.site.glob("_editable*.pth") for line in pth.read_text().split()]

    def file(self, environment: Environment, start: str) -> Path:
        found = [artifact for artifact in environment.artifacts if artifact.file_name.startswith(start)]
        assert len(found) == 1, environment.artifacts
        return place_of(found[0], self.root / "cache")

    def names(self, environment: Environment, start: str) -> list[str]:
        with zipfile.ZipFile(self.file(environment, start)) as archive:
            return archive.namelist()


@pytest.fixture(scope="module")
def bare_environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One environment for all: making it takes longest."""
    return virtual_environment(tmp_path_factory.mktemp("desk") / "environment")


@pytest.fixture
def desk(bare_environment: Path, tmp_path: Path) -> Desk:
    """A user with an empty environment."""
    site = tmp_path / "environment" / "lib" / bare_environment.parent.name / "site-packages"
    site.mkdir(parents=True)
    # Ourselves, as installed: what runs on a machine needs us, and else we would travel in each test.
    distribution(site, "tradewind")
    work = tmp_path / "work"
    work.mkdir()
    return Desk(root=tmp_path, site=site, work=work)


def editable(desk: Desk, name: str = "mine", **more: str) -> Path:
    """Install a project as editable, as uv would."""
    directory = project(desk.root / "projects" / name, name, **more)
    info = distribution(desk.site, name, direct_url={"url": directory.as_uri(), "dir_info": {"editable": True}})
    (desk.site / f"{name}.py").unlink()
    (desk.site / f"_editable_{name}.pth").write_text(f"{directory / 'src'}\n")
    (info / "RECORD").write_text(f"_editable_{name}.pth,,\n{info.name}/METADATA,,\n{info.name}/RECORD,,\n")
    return directory


def package(environment: Environment, name: str) -> Package:
    return next(package for package in environment.packages if package.name == name)


def test_an_edited_project_travels_as_it_is_now(desk: Desk) -> None:
    directory = editable(desk)
    before = desk.carry()
    (directory / "src" / "mine" / "new.py").write_text("x = 1\n")

    after = desk.carry()

    assert "mine/new.py" in desk.names(after, "mine-")
    assert before.content_hash != after.content_hash
    assert package(after, "mine").artifact == hashlib.sha256(desk.file(after, "mine-").read_bytes()).hexdigest()


def test_the_same_project_is_built_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    editable(desk)
    before = desk.carry()
    monkeypatch.setattr(build, "_run", lambda *words: pytest.fail("built again"))

    assert desk.carry() == before


def test_two_builds_of_one_content_are_one_file(desk: Desk) -> None:
    editable(desk)
    before = desk.carry()

    # A cache that was cleaned up: everything is made anew, later.
    subprocess.run(["rm", "-r", str(desk.root / "cache")], check=True)

    assert desk.carry() == before


def test_what_git_ignores_neither_travels_nor_counts(desk: Desk) -> None:
    directory = editable(desk)
    (directory / ".gitignore").write_text("*.nc\n")
    commit(directory)
    before = desk.carry()
    (directory / "src" / "mine" / "big.nc").write_bytes(b"data")

    after = desk.carry()

    assert after == before
    assert "mine/big.nc" not in desk.names(after, "mine-")


def test_a_project_whose_version_moved_on_has_the_new_one(desk: Desk) -> None:
    directory = editable(desk)
    builder = directory / "builder.py"
    builder.write_text(builder.read_text().replace('"1.0"', '"1.1.dev3"'))

    assert package(desk.carry(), "mine").version == "1.1.dev3"


def test_nothing_is_left_in_the_project(desk: Desk) -> None:
    directory = editable(desk)
    commit(directory)

    desk.carry()

    assert git(directory, "status", "--porcelain", "--ignored") == ""


BROKEN = [
    ("no toml", "pyproject.toml", "[build-system", "pyproject.toml"),
    (
        "a builder that fails",
        "builder.py",
        "raise RuntimeError('no compiler for cfitsio')\n",
        "no compiler for cfitsio",
    ),
    ("a builder that isn't there", "builder.py", None, "builder"),
]


@pytest.mark.parametrize(("file", "text", "quoted"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_project_that_cannot_be_built_travels_as_it_lies_and_the_user_hears_why(
    file: str, text: str | None, quoted: str, desk: Desk
) -> None:
    directory = editable(desk)
    (directory / file).unlink() if text is None else (directory / file).write_text(text)

    environment = desk.carry()

    assert {"mine/__init__.py", "mine/table.csv"} <= set(desk.names(environment, "mine-"))
    assert len(desk.said) == 1
    assert quoted in desk.said[0]


def test_a_project_that_can_neither_be_built_nor_found_is_refused_in_its_builders_words(desk: Desk) -> None:
    directory = editable(desk)
    (directory / "builder.py").write_text("raise RuntimeError('no compiler for cfitsio')\n")
    (desk.site / "_editable_mine.pth").unlink()

    with pytest.raises(BadRequest, match=r"(?s)mine can't be built.*no compiler for cfitsio"):
        desk.carry(path=[str(desk.site)])


def test_a_project_that_is_gone_is_named(desk: Desk) -> None:
    directory = editable(desk)
    subprocess.run(["rm", "-r", str(directory)], check=True)

    with pytest.raises(BadRequest, match="projects/mine, which isn't there any more"):
        desk.carry()


def from_directory(desk: Desk) -> None:
    distribution(desk.site, "tool", direct_url={"url": "file:///gone", "dir_info": {}})


def from_a_commit(desk: Desk) -> None:
    origin = {"url": "https://host/tool", "vcs_info": {"vcs": "git", "commit_id": "f00d"}}
    distribution(desk.site, "tool", direct_url=origin)


def from_a_file(desk: Desk) -> None:
    distribution(desk.site, "tool", direct_url={"url": "file:///tmp/tool.whl", "archive_info": {}})


def from_a_secret_address(desk: Desk) -> None:
    distribution(desk.site, "tool", direct_url={"url": "https://host/t.whl?signature=x", "archive_info": {}})


def from_an_address(desk: Desk) -> None:
    distribution(desk.site, "tool", direct_url={"url": "https://host/t.whl", "archive_info": {}})


def from_the_index(desk: Desk) -> None:
    distribution(desk.site, "tool")


@pytest.mark.parametrize(
    ("source", "travels"),
    [
        (from_directory, True),
        (from_a_commit, True),
        (from_a_file, True),
        (from_a_secret_address, True),
        (from_an_address, False),
        (from_the_index, False),
    ],
)
def test_what_a_machine_cannot_get_travels(source: Callable[[Desk], None], travels: bool, desk: Desk) -> None:
    source(desk)

    environment = desk.carry()

    assert [artifact.file_name for artifact in environment.artifacts] == ["tool-1.0-py3-none-any.whl"] * travels
    assert bool(package(environment, "tool").artifact) is travels


LAB = "https://pypi.lab.example.org/simple"


@pytest.mark.parametrize(
    ("known", "public", "travels"),
    [(False, (), True), (True, (), False), (False, (LAB,), False), (False, (LAB + "/",), False)],
)
def test_packages_of_a_private_index_travel(
    known: bool, public: tuple[str, ...], travels: bool, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", LAB)
    distribution(desk.site, "tool")

    environment = desk.carry(known=lambda asked: {one.name for one in asked if known}, public=public)

    assert bool(package(environment, "tool").artifact) is travels


@pytest.mark.parametrize("has_it", [True, False])
def test_what_an_index_in_a_directory_does_not_have_is_not_of_it(
    has_it: bool, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://pypi.org/simple")
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", (desk.root / "index").as_uri())
    (desk.root / "index" / ("tool" if has_it else "other")).mkdir(parents=True)
    distribution(desk.site, "tool")

    environment = desk.carry(known=lambda asked: ())

    assert bool(package(environment, "tool").artifact) is has_it


@pytest.mark.parametrize(("public", "asked"), [((), ()), ((LAB,), ("https://pypi.org/simple", LAB))])
def test_a_machine_is_told_of_no_index_that_it_cannot_ask(
    public: tuple[str, ...], asked: tuple[str, ...], desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(desk.site, "tool")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    variables = {"PIP_EXTRA_INDEX_URL": f"{LAB} https://ada:hunter2@private.example.org/simple"}

    environment = desk.carry(environ=variables, public=public)

    assert environment.indexes == asked


def test_what_is_carried_can_be_installed_and_run(desk: Desk, tmp_path: Path) -> None:
    """Modules, data, commands and scripts of a real installation are there again after the journey."""
    here, there = tmp_path / "here", tmp_path / "there"
    site = virtual_environment(here)
    virtual_environment(there)
    tool = project(tmp_path / "tool", "tool")
    install(here, str(tool))
    script = here / "bin" / "tool-script"
    script.write_text(f"#!{here}/bin/python\nimport tool; tool.main()\n")
    script.chmod(0o755)
    (here / "share" / "tool").mkdir(parents=True)
    (here / "share" / "tool" / "grid.txt").write_text("grid")
    record = next(site.glob("tool-*/RECORD"))
    record.write_text(record.read_text() + "../../../bin/tool-script,,\n../../../share/tool/grid.txt,,\n")
    desk.site = site

    environment = desk.carry()

    # Commands are made anew by whoever installs it; the script can't be.
    assert [name for name in desk.names(environment, "tool-") if "/scripts/" in name] == [
        "tool-1.0.data/scripts/tool-script"
    ]
    install(there, str(desk.file(environment, "tool-")))
    assert run(str(there / "bin" / "tool-cmd")) == "tool runs\n"
    assert run(str(there / "bin" / "tool-script")) == "tool runs\n"
    assert (there / "share" / "tool" / "grid.txt").read_text() == "grid"
    assert next(there.glob("lib/*/site-packages/tool/table.csv")).read_text() == "a,b\n1,2\n"
    if UV is not None:
        run(UV, "pip", "check", "-q", "--python", str(there))


def no_list(site: Path) -> None:
    (site / "tool-1.0.dist-info" / "RECORD").unlink()


def no_file(site: Path) -> None:
    (site / "tool.py").unlink()


def no_tags(site: Path) -> None:
    (site / "tool-1.0.dist-info" / "WHEEL").unlink()


@pytest.mark.parametrize(
    ("spoil", "said"), [(no_list, "no list of its files"), (no_file, r"tool\.py is missing"), (no_tags, "no WHEEL")]
)
def test_half_an_installation_is_refused_with_what_to_do(spoil: Callable[[Path], None], said: str, desk: Desk) -> None:
    from_directory(desk)
    record = desk.site / "tool-1.0.dist-info" / "RECORD"
    spoil(desk.site)
    if record.exists():
        record.write_text("".join(line for line in record.read_text().splitlines(keepends=True) if "WHEEL" not in line))

    with pytest.raises(BadRequest, match=rf"tool 1\.0 .*{said}.*install"):
        desk.carry()


def test_modules_of_the_working_directory_travel(desk: Desk) -> None:
    (desk.work / "analysis.py").write_text("x = 1\n")
    (desk.work / "lab").mkdir()
    (desk.work / "lab" / "deep").mkdir()
    (desk.work / "lab" / "__init__.py").write_text("")
    (desk.work / "lab" / "deep" / "table.csv").write_text("1")
    (desk.work / "notes").mkdir()
    (desk.work / "notes" / "tool.py").write_text("")
    (desk.work / "notes" / "notes.txt").write_text("")
    (desk.work / "data").mkdir()
    (desk.work / "data" / "big.nc").write_bytes(b"1")
    (desk.work / ".secret.py").write_text("")
    (desk.work / "figure 1.py").write_text("")
    (desk.work / "venv").mkdir()
    (desk.work / "venv" / "a.py").write_text("")

    environment = desk.carry()

    assert desk.names(environment, "modules-") == [
        "analysis.py",
        "lab/__init__.py",
        "lab/deep/table.csv",
        "notes/tool.py",
    ]


def test_of_modules_under_git_what_is_ignored_stays(desk: Desk) -> None:
    for name in ("lab/__init__.py", "lab/big.nc", "lab/deep/a.py", "scratch/__init__.py", "mine.py", "theirs.py"):
        (desk.work / name).parent.mkdir(parents=True, exist_ok=True)
        (desk.work / name).write_text("")
    (desk.work / ".gitignore").write_text("*.nc\nscratch/\ntheirs.py\n")
    commit(desk.work)
    (desk.work / "new.py").write_text("")

    names = desk.names(desk.carry(), "modules-")

    assert names == ["lab/__init__.py", "lab/deep/a.py", "mine.py", "new.py"]


def test_a_directory_of_packages_on_the_path_is_no_module(desk: Desk) -> None:
    target = desk.root / "target"
    distribution(target, "other")

    environment = desk.carry(path=[str(desk.site), str(target)])

    assert environment.artifacts == ()


def test_of_a_module_in_two_places_the_first_travels(desk: Desk) -> None:
    first, second = desk.root / "first", desk.root / "second"
    for place in (first, second):
        (place / "spread").mkdir(parents=True)
        (place / "tool.py").write_text(f"place = {place.name!r}")
        (place / "spread" / f"{place.name}.py").write_text("")

    environment = desk.carry(path=[str(desk.site), str(first), str(second)])

    with zipfile.ZipFile(desk.file(environment, "modules-")) as archive:
        assert archive.read("tool.py") == b"place = 'first'"
        assert {"spread/first.py", "spread/second.py"} <= set(archive.namelist())


def test_the_code_of_a_project_does_not_travel_twice(desk: Desk) -> None:
    directory = editable(desk)
    (directory / "notebook_tools.py").write_text("")
    desk.work = directory / "src"
    (desk.work / "beside.py").write_text("")

    environment = desk.carry()

    # The builder took all of src, and the wheel says so.
    assert "beside.py" in desk.names(environment, "mine-")
    assert not [artifact for artifact in environment.artifacts if artifact.file_name.startswith("modules-")]


def test_modules_are_one_file_for_one_content(desk: Desk) -> None:
    (desk.work / "analysis.py").write_text("x = 1\n")
    before = desk.carry()
    os.utime(desk.work / "analysis.py", (0, 0))

    assert desk.carry() == before
    (desk.work / "analysis.py").write_text("x = 2\n")
    assert desk.carry() != before


def test_we_travel_where_nobody_installed_us(desk: Desk) -> None:
    subprocess.run(["rm", "-r", str(desk.site / "tradewind-1.0.dist-info")], check=True)

    assert "tradewind/__init__.py" in desk.names(desk.carry(), "modules-")


def test_too_much_is_refused_with_the_five_biggest_files(desk: Desk) -> None:
    (desk.work / "lab").mkdir()
    (desk.work / "lab" / "__init__.py").write_text("")
    for number in range(7):
        (desk.work / "lab" / f"data{number}.bin").write_bytes(os.urandom((number + 1) * MEBIBYTE // 8))

    with pytest.raises(BadRequest) as raised:
        desk.carry(limit=MEBIBYTE)

    text = str(raised.value)
    assert [line.split()[-1] for line in text.splitlines() if "data" in line and "MiB" in line] == [
        f"lab/data{number}.bin" for number in (6, 5, 4, 3, 2)
    ]
    assert "0.9 MiB  lab/data6.bin" in text
    assert ".gitignore" in text


def test_a_project_that_is_too_big_is_refused_by_name(desk: Desk) -> None:
    directory = editable(desk)
    (directory / "src" / "mine" / "model.bin").write_bytes(os.urandom(MEBIBYTE))

    with pytest.raises(BadRequest, match=r"(?s)mine, with files of .*1\.0 MiB  src/mine/model\.bin"):
        desk.carry(limit=MEBIBYTE // 2)


def test_an_environment_of_indexes_alone_carries_nothing(desk: Desk) -> None:
    from_the_index(desk)

    assert desk.carry().artifacts == ()


def test_a_file_lies_where_its_hash_says(desk: Desk) -> None:
    from_directory(desk)

    environment = desk.carry()

    (artifact,) = environment.artifacts
    path = desk.root / "cache" / "artifacts" / artifact.sha256 / artifact.file_name
    assert artifact == Artifact(
        file_name="tool-1.0-py3-none-any.whl",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size,
    )


def test_this_python_can_build_with_pip_where_there_is_no_uv(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    editable(desk)
    monkeypatch.setattr(build, "find_uv", lambda: None)

    environment = desk.carry()

    assert desk.said == []
    assert sys.executable
    assert "mine/table.csv" in desk.names(environment, "mine-")


def test_machines_are_told_once_what_they_can_begin_with_while_something_is_made(desk: Desk) -> None:
    distribution(desk.site, "alpha")
    editable(desk)
    (desk.work / "plain.py").write_text("answer = 42")
    told: list[Environment] = []

    whole = desk.carry(while_building=told.append)
    again = desk.carry(while_building=told.append)

    assert [sorted(package.name for package in one.packages) for one in told] == [["alpha", "tradewind"]]
    assert not told[0].artifacts
    assert told[0].content_hash == base_of(whole), "a machine finds by it what it has made"
    assert again == whole
