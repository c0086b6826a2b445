"""Files of packages, each kind read into what a machine installs, and what is said of bad ones."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hosts.index import add_wheel, served
from tradewind.boot.environment.files.read import read, way_of
from tradewind.errors import BadRequest, NotFound
from tradewind.model.environment import Environment, Package, Source

Read = Callable[..., Environment]
SHA = "ab" * 32
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing that this machine sets for pip and uv counts."""
    for name in ("UV_INDEX_URL", "UV_INDEX", "UV_DEFAULT_INDEX", "PIP_INDEX_URL", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("UV_NO_CONFIG", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))


@pytest.fixture
def said() -> list[str]:
    """What was told on the way."""
    return []


@pytest.fixture
def read_one(tmp_path: Path, said: list[str]) -> Read:
    """Read a file for one platform."""

    def one(name: str, platform: str = "linux-x86_64", python: str = PYTHON, with_local: bool = True) -> Environment:
        (found,) = read(
            tmp_path / name,
            platforms=[platform],
            python=python,
            cache=tmp_path / "cache",
            with_local=with_local,
            say=said.append,
        )
        return found

    return one


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A small package index, which is the only one."""
    root = tmp_path / "index"
    for name, version in (("distributed", "2026.8.0"), ("melt", "1.0"), ("melt", "2.0"), ("brine", "0.3")):
        add_wheel(root, name, version, "")
    listing = root / "simple" / "melt" / "index.html"
    files = sorted(file.name for file in listing.parent.glob("*.whl"))
    listing.write_text("".join(f'<a href="{name}">{name}</a>\n' for name in files))
    with served(root, "127.0.0.1") as (url, _):
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{url}/simple")
        yield f"{url}/simple"


def pins(environment: Environment) -> dict[str, str]:
    return {package.name: package.version for package in environment.packages}


def project(directory: Path, name: str = "ours") -> Path:
    """Write a project that builds without a network: its builder lies beside it."""
    directory.mkdir(parents=True)
    (directory / f"{name}.py").write_text("ANSWER = 42\n")
    (directory / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "0.7"\n'
        '[build-system]\nrequires = []\nbuild-backend = "builder"\nbackend-path = ["."]\n'
    )
    (directory / "builder.py").write_text(
        "import os, zipfile\n"
        "def build_wheel(directory, config_settings=None, metadata_directory=None):\n"
        f"    name = '{name}-0.7-py3-none-any.whl'\n"
        f"    info = '{name}-0.7.dist-info'\n"
        "    with zipfile.ZipFile(f'{directory}/{name}', 'w') as wheel:\n"
        f"        wheel.write('{name}.py')\n"
        f"        wheel.writestr(f'{{info}}/METADATA', 'Metadata-Version: 2.1\\nName: {name}\\nVersion: 0.7\\n')\n"
        "        wheel.writestr(f'{info}/WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n"
        # As builders do that write down when they built.
        "        when = (1990 + os.getpid() % 90, 1, 1, 0, 0, 0)\n"
        "        wheel.writestr(zipfile.ZipInfo(f'{info}/RECORD', when), '')\n"
        "    return name\n"
    )
    return directory


# pylock.toml


def wheel(name: str) -> str:
    """Return how a lock writes a wheel."""
    return f'{{ url = "https://files.example/{name}", hashes = {{ sha256 = "{SHA}" }} }}'


def wheels(name: str) -> str:
    """Return how a lock writes the wheels of a compiled package."""
    platforms = ("manylinux_2_17_x86_64", "manylinux_2_17_aarch64", "macosx_11_0_arm64")
    return f"wheels = [{', '.join(wheel(f'{name}-1.0-cp311-cp311-{platform}.whl') for platform in platforms)}]"


def pylock(*entries: str) -> str:
    return 'lock-version = "1.0"\ncreated-by = "uv"\n' + "".join(f"\n[[packages]]\n{entry}\n" for entry in entries)


def test_a_lock_for_all_platforms_is_read_for_one(tmp_path: Path, read_one: Read) -> None:
    pure = f"wheels = [{wheel('pure-1.0-py3-none-any.whl')}]"
    text = pylock(
        f'name = "Compiled"\nversion = "1.0"\nindex = "https://pypi.org/simple"\n{wheels("compiled")}',
        f'name = "pure"\nversion = "1.0"\nindex = "https://lab.example/simple"\n{pure}',
        f'name = "appnope"\nversion = "1.0"\nmarker = "sys_platform == \'darwin\'"\n{pure}',
        f'name = "old"\nversion = "1.0"\nmarker = "python_full_version < \'3.11\'"\n{pure}',
        'name = "repo"\nversion = "3"\nvcs = { type = "git", url = "https://git.example/repo", commit-id = "c0ffee" }',
        f'name = "far"\narchive = {wheel("far-2.0-py3-none-any.whl")}',
    )
    (tmp_path / "pylock.toml").write_text(text)

    found = read_one("pylock.toml", "linux-aarch64", "3.11")

    assert found.packages == (
        Package(name="compiled", version="1.0", sha256=SHA),
        Package(
            name="far",
            version="2.0",
            source=Source.ARCHIVE,
            url="https://files.example/far-2.0-py3-none-any.whl",
            sha256=SHA,
        ),
        Package(name="pure", version="1.0", url="https://lab.example/simple", sha256=SHA),
        Package(name="repo", version="3", source=Source.VCS, url="git+https://git.example/repo@c0ffee"),
    )
    assert (found.platform, found.python) == ("linux-aarch64", "3.11")


def test_which_of_several_wheels_a_machine_takes_is_left_to_it(tmp_path: Path, read_one: Read) -> None:
    two = ", ".join(wheel(f"melt-1.0-cp311-cp311-manylinux_2_{glibc}_x86_64.whl") for glibc in (17, 28))
    (tmp_path / "pylock.toml").write_text(pylock(f'name = "melt"\nversion = "1.0"\nwheels = [{two}]'))

    (package,) = read_one("pylock.toml", python="3.11").packages

    assert package.sha256 == ""


def test_without_a_wheel_for_the_target_it_says_what_there_is(tmp_path: Path, read_one: Read) -> None:
    (tmp_path / "pylock.toml").write_text(pylock(f'name = "melt"\nversion = "1.0"\n{wheels("melt")}'))

    with pytest.raises(BadRequest, match=r"melt 1\.0 has no wheel for Python 3\.12 on linux-x86_64; .*cp311.*--python"):
        read_one("pylock.toml", python="3.12")


# uv


def test_requirements_are_locked_and_what_they_forget_is_added(
    tmp_path: Path, index: str, read_one: Read, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.version", {"distributed": "2026.8.0"}.__getitem__)
    (tmp_path / "requirements.txt").write_text("melt<2  # the old ice\nbrine; sys_platform == 'linux'\n")

    found = read_one("requirements.txt")

    assert pins(found) == {"brine": "0.3", "distributed": "2026.8.0", "melt": "1.0"}
    assert said == [
        "distributed==2026.8.0 was added, as it is here: requirements.txt doesn't ask for it, and without it no worker "
        "starts."
    ]
    assert found.indexes == (index,)


def test_a_project_in_a_directory_travels_as_the_same_wheel_each_time(
    tmp_path: Path, index: str, read_one: Read, said: list[str]
) -> None:
    project(tmp_path / "ours")
    (tmp_path / "requirements.txt").write_text("distributed\n./ours\n")

    found, again = read_one("requirements.txt"), read_one("requirements.txt")
    without = read_one("requirements.txt", with_local=False)

    (artifact,) = found.artifacts
    assert artifact.file_name == "ours-0.7-py3-none-any.whl"
    assert (tmp_path / "cache" / "artifacts" / artifact.sha256 / artifact.file_name).is_file()
    ours = next(package for package in found.packages if package.name == "ours")
    assert (ours.version, ours.source, ours.artifact) == ("0.7", Source.DIRECTORY, artifact.sha256)
    assert again == found
    assert pins(without) == {"distributed": "2026.8.0"}
    assert "left out" in said[-1]


def test_wheels_of_an_index_in_a_directory_travel(
    tmp_path: Path, read_one: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("distributed", "melt"):
        add_wheel(tmp_path / "index", name, "1.0", "")
    monkeypatch.setenv("UV_DEFAULT_INDEX", (tmp_path / "index" / "simple").as_uri())
    (tmp_path / "requirements.txt").write_text("distributed\nmelt\n")

    found = read_one("requirements.txt")

    assert [one.file_name for one in found.artifacts] == [
        "distributed-1.0-py3-none-any.whl",
        "melt-1.0-py3-none-any.whl",
    ]
    assert {package.artifact for package in found.packages} == {one.sha256 for one in found.artifacts}
    assert found.indexes == ()


UV_LOCK = """
version = 1
revision = 3
requires-python = ">=3.10"

[[package]]
name = "distributed"
version = "2026.8.0"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://files.example/distributed-2026.8.0-py3-none-any.whl", hash = "sha256:SHA" }]

[[package]]
name = "iniconfig"
version = "2.3.1"
source = { registry = "https://pypi.org/simple" }
wheels = [{ url = "https://files.example/iniconfig-2.3.1-py3-none-any.whl", hash = "sha256:SHA" }]

[[package]]
name = "ours"
version = "0.7"
source = { editable = "." }
dependencies = [{ name = "distributed" }]

[package.dev-dependencies]
dev = [{ name = "iniconfig" }]

[package.metadata]
requires-dist = [{ name = "distributed" }]

[package.metadata.requires-dev]
dev = [{ name = "iniconfig" }]
""".replace("SHA", SHA)


@pytest.mark.parametrize("name", ["uv.lock", "pyproject.toml"])
def test_a_uv_lock_is_read_without_a_network_with_its_project_and_without_its_tools(
    name: str, tmp_path: Path, read_one: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    directory = project(tmp_path / "ours")
    with (directory / "pyproject.toml").open("a") as file:
        file.write('[dependency-groups]\ndev = ["iniconfig"]\n')
    text = (directory / "pyproject.toml").read_text()
    needs = 'version = "0.7"\nrequires-python = ">=3.10"\ndependencies = ["distributed"]'
    (directory / "pyproject.toml").write_text(text.replace('version = "0.7"', needs))
    (directory / "uv.lock").write_text(UV_LOCK)

    found = read_one(f"ours/{name}")

    assert pins(found) == {"distributed": "2026.8.0", "ours": "0.7"}
    assert next(p for p in found.packages if p.name == "distributed").sha256 == SHA
    assert [one.file_name for one in found.artifacts] == ["ours-0.7-py3-none-any.whl"]


# conda

PIXI = f"""
version: 6
environments:
  default:
    channels:
    - url: https://conda.anaconda.org/conda-forge/
    packages:
      linux-64:
      - conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.11.9-hb806964_0_cpython.conda
      - conda: https://conda.anaconda.org/conda-forge/noarch/distributed-2026.8.0-pyhd8ed1ab_0.conda
      - pypi: https://files.pythonhosted.org/packages/5d/zarr-2.18.2-py3-none-any.whl
packages:
- conda: https://conda.anaconda.org/conda-forge/linux-64/python-3.11.9-hb806964_0_cpython.conda
  sha256: {SHA}
  depends: []
- conda: https://conda.anaconda.org/conda-forge/noarch/distributed-2026.8.0-pyhd8ed1ab_0.conda
  sha256: {SHA}
  depends: []
- pypi: https://files.pythonhosted.org/packages/5d/zarr-2.18.2-py3-none-any.whl
  name: zarr
  version: 2.18.2
  sha256: {SHA}
"""


def conda_lock_entry(name: str, version: str, manager: str, url: str) -> str:
    return (
        f"- {{name: {name}, version: {version}, manager: {manager}, platform: linux-64, dependencies: {{}}, "
        f"url: '{url}', hash: {{sha256: {SHA}, md5: {SHA[:32]}}}, category: main, optional: false}}\n"
    )


CONDA_LOCK = """
version: 1
metadata:
  content_hash: {linux-64: aa}
  channels: [{url: conda-forge, used_env_vars: []}]
  platforms: [linux-64]
  sources: [environment.yml]
package:
""" + "".join(
    conda_lock_entry(*words)
    for words in (
        (
            *("python", "3.11.9", "conda"),
            "https://conda.anaconda.org/conda-forge/linux-64/python-3.11.9-hb806964_0_cpython.conda",
        ),
        (
            *("distributed", "2026.8.0", "conda"),
            "https://conda.anaconda.org/conda-forge/noarch/distributed-2026.8.0-pyhd8ed1ab_0.conda",
        ),
        ("zarr", "2.18.2", "pip", "https://files.pythonhosted.org/packages/5d/zarr-2.18.2-py3-none-any.whl"),
    )
)


@pytest.mark.parametrize(("name", "text"), [("pixi.lock", PIXI), ("conda-lock.yml", CONDA_LOCK)])
def test_locked_conda_environments_are_read_without_a_network(
    name: str, text: str, tmp_path: Path, read_one: Read
) -> None:
    (tmp_path / name).write_text(text)

    found = read_one(name, python="3.9")

    channel = "https://conda.anaconda.org/conda-forge"
    assert found.packages == (
        Package(
            name="distributed",
            version="2026.8.0",
            source=Source.CONDA,
            url=channel,
            sha256=SHA,
            build="pyhd8ed1ab_0",
            subdir="noarch",
        ),
        Package(
            name="python",
            version="3.11.9",
            source=Source.CONDA,
            url=channel,
            sha256=SHA,
            build="hb806964_0_cpython",
            subdir="linux-64",
        ),
        Package(name="zarr", version="2.18.2", sha256=SHA),
    )
    assert (found.python, found.channels) == ("3.11.9", (channel,))


def test_a_lock_without_the_platform_says_which_it_has(tmp_path: Path, read_one: Read) -> None:
    (tmp_path / "pixi.lock").write_text(PIXI)

    with pytest.raises(BadRequest, match="isn't locked for linux-aarch64, but for: linux-64"):
        read_one("pixi.lock", "linux-aarch64")


def write_channel(root: Path, *packages: tuple[str, str, str]) -> None:
    """Write the listing of a conda channel: name, version and subdir. A solver wants no more."""
    for subdir in ("linux-64", "noarch"):
        listed = {
            f"{name}-{version}-0.conda": {
                **{"name": name, "version": version, "build": "0", "build_number": 0, "subdir": subdir},
                **{"depends": [] if name == "python" else ["python"], "sha256": SHA, "md5": SHA[:32], "size": 1},
            }
            for name, version, where in packages
            if where == subdir
        }
        (root / subdir).mkdir(parents=True)
        text = json.dumps({"info": {"subdir": subdir}, "packages": {}, "packages.conda": listed})
        (root / subdir / "repodata.json").write_text(text)


def test_an_environment_yml_is_solved_and_its_pip_section_keeps_to_what_conda_brings(
    tmp_path: Path, index: str, read_one: Read, said: list[str]
) -> None:
    root = tmp_path / "channel"
    noarch = [("distributed", "2026.8.0", "noarch"), ("melt", "1.0", "noarch"), ("melt", "2.0", "noarch")]
    write_channel(root, ("python", "3.11.9", "linux-64"), ("python", "3.12.1", "linux-64"), *noarch)
    with served(root, "127.0.0.1") as (url, _):
        wishes = "- python=3.11\n- melt=1\n- pip:\n  - brine\n  - melt\n"
        (tmp_path / "environment.yml").write_text(f"name: ice\nchannels: [{url}]\ndependencies:\n{wishes}")

        found = read_one("environment.yml", python="3.12")

    assert {(package.name, package.source): package.version for package in found.packages} == {
        ("python", Source.CONDA): "3.11.9",
        ("distributed", Source.CONDA): "2026.8.0",
        ("melt", Source.CONDA): "1.0",
        ("brine", Source.INDEX): "0.3",
    }
    assert (found.python, found.channels) == ("3.11.9", (url,))
    assert "distributed was added: environment.yml doesn't ask for it" in said[0]


def test_what_no_channel_has_is_told_in_the_solvers_words(tmp_path: Path, read_one: Read) -> None:
    write_channel(tmp_path / "channel", ("python", "3.11.9", "linux-64"), ("distributed", "2026.8.0", "noarch"))
    with served(tmp_path / "channel", "127.0.0.1") as (url, _):
        (tmp_path / "environment.yml").write_text(f"channels: [{url}]\ndependencies: [distributed, melt]\n")

        with pytest.raises(BadRequest, match=r"(?s)can't be solved for linux-64 from http://.*No candidates.*melt"):
            read_one("environment.yml", python="3.11")


# What can't be read

BAD = [
    ("pylock.toml", "packages = [\n  {", "pylock.toml is no TOML: .*line"),
    ("pylock.toml", "x = 1\n", "is no pylock.toml of version 1"),
    ("pylock.toml", pylock('name = "a"\nversion = "1"\nmarker = "sys_platfrm == 1"'), "is no marker"),
    ("pylock.toml", 'lock-version = "1.0"\nrequires-python = ">=3.99"\npackages = []', "is for Python >=3.99"),
    ("pylock.toml", 'lock-version = "1.0"\npackages = []', "has no packages for linux-x86_64"),
    ("requirements.txt", "melt\nmelt >>= 1\n", "requirements.txt, line 2 can't be locked"),
    ("requirements.txt", "melt==99\n", r"(?s)requirements.txt can't be locked.*no version of melt==99"),
    ("pyproject.toml", "[project\n", "pyproject.toml, line 1 can't be locked"),
    ("uv.lock", "", "needs the pyproject.toml"),
    ("environment.yml", "name: x\ndependencies: [a\nb: 1\n", "environment.yml, line 3 is no YAML"),
    ("environment.yml", "name: x\n", "no list 'dependencies'"),
    ("environment.yml", "dependencies: [{conda: [a]}]\n", "is no dependency; write it as"),
    ("pixi.lock", "version: 6\n  x: 1\n", "pixi.lock can't be read: .*line 2"),
    ("poetry.lock", "", "poetry export"),
    ("melt.csv", "", "isn't a file that packages are read from; give one of pyproject.toml"),
]


@pytest.mark.parametrize(("name", "text", "words"), BAD, ids=[f"{name}-{words[:20]}" for name, _, words in BAD])
def test_a_bad_file_is_named_with_its_line_and_what_to_do(
    name: str, text: str, words: str, tmp_path: Path, index: str, read_one: Read
) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(BadRequest, match=words):
        read_one(name)


def test_a_file_that_isnt_there_is_told_with_those_that_are_read(read_one: Read) -> None:
    with pytest.raises(NotFound, match="there is no file .*requirements.txt; packages are read from pyproject.toml"):
        read_one("requirements.txt")


def test_a_platform_and_a_python_that_cant_be_are_refused(tmp_path: Path, read_one: Read) -> None:
    (tmp_path / "pylock.toml").write_text(pylock())

    with pytest.raises(BadRequest, match="'win-amd64': there are linux-x86_64"):
        read_one("pylock.toml", "win-amd64")
    with pytest.raises(BadRequest, match="--python snake can't be used: write it as 3.11"):
        read_one("pylock.toml", python="snake")


@pytest.mark.parametrize("name", ["conda-lock.yml", "locked.yaml"])
def test_conda_lock_is_told_from_environment_yml_by_what_is_in_it(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(CONDA_LOCK)
    (tmp_path / "environment.yaml").write_text(json.dumps({"dependencies": []}))

    assert way_of(tmp_path / name).__name__ == "read_locked"
    assert way_of(tmp_path / "environment.yaml").__name__ == "lock_conda"
