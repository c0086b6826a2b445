"""The caller's packages on machines of another platform: real uv, and an index that has what the test says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.boot.environment.shelf import ANY, LINUX, LINUX_ARM, MAC, WINDOWS, Shelf, shelf
from tradewind.boot.environment import translate as module
from tradewind.boot.environment.translate import check_carried, translate
from tradewind.boot.environment.translation import uv
from tradewind.boot.environment.translation.markers import Known
from tradewind.errors import BadRequest, MissingExtra
from tradewind.model.environment import (
    Artifact,
    Confidence,
    Difference,
    Environment,
    Package,
    Source,
    Target,
    Translation,
    seal,
)

TO_LINUX = Target(platform="linux-x86_64")
SHA = "a" * 64


@pytest.fixture(autouse=True)
def _own_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_NO_CONFIG", "1")


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Shelf]:
    with shelf(tmp_path / "shelf") as made:
        yield made


def captured(
    pins: Mapping[str, str], index: Shelf | None = None, *, asked: Sequence[str] = (), platform: str = "macosx-arm64"
) -> Environment:
    packages = [
        Package(name=name, version=version, is_requested=name in asked) for name, version in sorted(pins.items())
    ]
    return seal(
        Environment(
            python="3.11.9",
            platform=platform,
            packages=tuple(packages),
            content_hash="",
            indexes=(index.address,) if index else (),
        )
    )


def there(found: Translation) -> dict[str, str]:
    return {package.name: package.version for package in found.environment.packages}


def difference(found: Translation, name: str) -> Difference:
    (one,) = [one for one in found.differences if one.package == name]
    return one


# -- nothing to do -----------------------------------------------------------------------------------------------------


def test_on_the_same_platform_it_is_the_same_and_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    here = captured({"numpy": "1.26.4"}, platform="linux-x86_64")

    assert translate(here, TO_LINUX, known={}).environment is here
    assert translate(here, replace(TO_LINUX, python="3.11", glibc="2.17"), known={}).environment is here


@pytest.mark.parametrize("platform", ["win-amd64", "linux-riscv64", "", "linux"])
def test_a_platform_that_runs_no_clusters_is_refused(platform: str) -> None:
    with pytest.raises(BadRequest, match="there are linux-x86_64"):
        translate(captured({}), Target(platform=platform), known={})


def test_what_has_wheels_for_both_is_of_the_same_version_and_differs_in_nothing(index: Shelf) -> None:
    index.add("fast", "1.2.3", MAC, LINUX)
    index.add("fast", "1.2.4", MAC, LINUX)
    index.add("plain", "2.0", ANY)

    found = translate(captured({"fast": "1.2.3", "plain": "2.0"}, index), TO_LINUX, known={})

    assert there(found) == {"fast": "1.2.3", "plain": "2.0"}
    assert found.differences == ()
    assert found.environment.platform == "linux-x86_64"
    assert found.environment.content_hash == seal(found.environment).content_hash


# -- another version ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_linux", "taken", "confidence"),
    [
        (["1.2.4", "1.2.9", "1.3.0", "1.2.1"], "1.2.4", Confidence.LIKELY),
        (["1.2.1", "1.2.0", "1.3.0"], "1.2.1", Confidence.LIKELY),
        (["1.4.0", "1.3.0", "1.1.9", "2.0.0"], "1.3.0", Confidence.GUESS),
        (["1.1.0", "1.0.0", "2.0.0"], "1.1.0", Confidence.GUESS),
        (["3.0.0", "2.0.0", "0.9.0"], "2.0.0", Confidence.GUESS),
        (["0.9.0", "0.1.0"], "0.9.0", Confidence.GUESS),
    ],
)
def test_without_a_wheel_there_the_nearest_version_that_has_one_is_taken(
    index: Shelf, on_linux: list[str], taken: str, confidence: Confidence
) -> None:
    index.add("fast", "1.2.3", MAC, LINUX_ARM)
    for version in on_linux:
        index.add("fast", version, MAC, LINUX)

    found = translate(captured({"fast": "1.2.3"}, index), TO_LINUX, known={})

    assert there(found) == {"fast": taken}
    one = difference(found, "fast")
    assert (one.here, one.there, one.confidence) == ("1.2.3", taken, confidence)
    assert "1.2.3 has no wheel for Linux x86_64" in one.reason


def test_another_build_of_the_same_version_goes_before_another_version(index: Shelf) -> None:
    index.add("torch", "2.1.0", LINUX)
    index.add("torch", "2.1.1", LINUX)

    found = translate(captured({"torch": "2.1.0+metal"}, index), TO_LINUX, known={})

    assert there(found) == {"torch": "2.1.0"}
    assert difference(found, "torch").confidence is Confidence.LIKELY


def test_a_version_that_fits_the_others_goes_before_a_nearer_one(index: Shelf) -> None:
    index.add("base", "1.5", ANY)
    index.add("fast", "1.2.3", MAC)
    index.add("fast", "1.2.4", LINUX, requires=["base>=2"])
    index.add("fast", "1.4.0", LINUX, requires=["base<2"])

    found = translate(captured({"fast": "1.2.3", "base": "1.5"}, index), TO_LINUX, known={})

    assert there(found) == {"base": "1.5", "fast": "1.4.0"}


def test_what_has_to_change_takes_along_what_must_change_with_it_and_says_so(index: Shelf) -> None:
    index.add("base", "1.5", ANY)
    index.add("base", "2.0", ANY)
    index.add("base", "3.0", ANY)
    index.add("fast", "1.2.3", MAC)
    index.add("fast", "1.2.4", LINUX, requires=["base>=2"])

    found = translate(captured({"fast": "1.2.3", "base": "1.5"}, index), TO_LINUX, known={})

    assert there(found) == {"base": "2.0", "fast": "1.2.4"}
    assert "doesn't go with" in difference(found, "base").reason


def test_what_speaks_with_the_caller_never_changes(index: Shelf) -> None:
    index.add("dask", "2024.1.0", ANY)
    index.add("dask", "2025.1.0", ANY)
    index.add("fast", "1.2.3", MAC)
    index.add("fast", "1.2.4", LINUX, requires=["dask>=2025"])

    with pytest.raises(BadRequest) as refused:
        translate(captured({"fast": "1.2.3", "dask": "2024.1.0"}, index), TO_LINUX, known={})

    said = str(refused.value)
    assert "dask must be the same there as here" in said
    assert "fast 1.2.3 (has no wheel for Linux x86_64)" in said
    assert "uv says:" in said
    assert "dask" in said.partition("uv says:")[2]


def test_pins_that_do_not_agree_here_either_stay_as_they_are(index: Shelf) -> None:
    index.add("base", "1.5", ANY)
    index.add("base", "2.0", ANY)
    index.add("picky", "1.0", ANY, requires=["base>=2"])
    here = captured({"base": "1.5", "picky": "1.0"}, index)

    for known in ({}, {"picky": Known(version="1.0", requires=("base>=2",))}):
        found = translate(here, TO_LINUX, known=known)
        assert there(found) == {"base": "1.5", "picky": "1.0"}
        assert found.differences == ()


def test_another_python_is_a_difference_and_its_wheels_are_looked_for(index: Shelf) -> None:
    index.add("fast", "1.0.0", LINUX)
    index.add("fast", "1.0.1", LINUX, LINUX.replace("cp311", "cp312"))

    found = translate(captured({"fast": "1.0.0"}, index), replace(TO_LINUX, python="3.12"), known={})

    assert there(found) == {"fast": "1.0.1"}
    assert "no wheel for Python 3.12" in difference(found, "fast").reason
    assert difference(found, "python").confidence is Confidence.GUESS
    assert found.environment.python == "3.12.0"


def test_an_old_c_library_gets_an_older_wheel(index: Shelf) -> None:
    index.add("fast", "1.0.0", LINUX)
    index.add("fast", "1.0.1", MAC, LINUX.replace("2_17", "2_34"))
    here = captured({"fast": "1.0.1"}, index)

    assert there(translate(here, replace(TO_LINUX, glibc="2.17"), known={})) == {"fast": "1.0.0"}
    assert there(translate(here, replace(TO_LINUX, glibc="2.35"), known={})) == {"fast": "1.0.1"}


# -- no wheel at all ---------------------------------------------------------------------------------------------------


def test_plain_python_that_has_its_source_alone_travels_as_it_is_installed(index: Shelf) -> None:
    index.add("old", "0.6.2")
    known = {"old": Known(version="0.6.2", tags=(ANY,))}

    found = translate(captured({"old": "0.6.2"}, index), TO_LINUX, known=known)

    (package,) = found.environment.packages
    assert (package.version, package.source) == ("0.6.2", Source.DIRECTORY)
    assert difference(found, "old").confidence is Confidence.LIKELY


def test_what_can_not_be_had_is_refused_with_what_there_is_and_what_to_do(index: Shelf) -> None:
    index.add("solver", "0.6.2")
    index.add("other", "1.0", LINUX_ARM, MAC)
    known = {"solver": Known(version="0.6.2", tags=(MAC,))}

    with pytest.raises(BadRequest) as refused:
        translate(captured({"solver": "0.6.2", "other": "1.0"}, index), TO_LINUX, known=known)

    said = str(refused.value)
    assert "solver 0.6.2 has no wheel, only its source" in said
    assert "other 1.0 has no wheel for Linux x86_64" in said
    assert "Linux aarch64, macOS arm64 (Python 3.11)" in said
    assert "package_sync_ignore=['other', 'solver']" in said


def test_strict_refuses_what_is_another_version_and_nothing_else(index: Shelf) -> None:
    index.add("fast", "1.2.3", MAC)
    index.add("fast", "1.2.4", LINUX)
    index.add("bell", "1.0", ANY)
    index.add("shell", "1.0", ANY, requires=["bell ; sys_platform == 'darwin'"])
    known = {"shell": Known(version="1.0", requires=("bell ; sys_platform == 'darwin'",))}

    found = translate(captured({"bell": "1.0", "shell": "1.0"}, index), TO_LINUX, known=known, strict=True)
    assert there(found) == {"shell": "1.0"}

    with pytest.raises(BadRequest, match=r"fast 1\.2\.3 → 1\.2\.4: 1\.2\.3 has no wheel"):
        translate(captured({"fast": "1.2.3"}, index), TO_LINUX, known={}, strict=True)


# -- what is of one platform -------------------------------------------------------------------------------------------


def test_what_only_markers_of_this_platform_brought_is_left_out_with_all_it_brought(index: Shelf) -> None:
    marker = "pyobjc ; sys_platform == 'darwin'"
    index.add("shell", "1.0", ANY, requires=[marker])
    known = {
        "shell": Known(version="1.0", requires=(marker,)),
        "pyobjc": Known(version="2.0", requires=("pyobjc-core",)),
    }

    found = translate(
        captured({"shell": "1.0", "pyobjc": "2.0", "pyobjc-core": "2.0"}, index, asked=["shell"]), TO_LINUX, known=known
    )

    assert there(found) == {"shell": "1.0"}
    assert difference(found, "pyobjc").reason == "shell needs it on macOS arm64 only"
    assert difference(found, "pyobjc-core").confidence is Confidence.SURE


def test_what_was_asked_for_by_name_stays_though_only_markers_of_this_platform_want_it(index: Shelf) -> None:
    marker = "colorama ; sys_platform == 'win32'"
    index.add("click", "8.0", ANY, requires=[marker])
    index.add("colorama", "0.4", ANY)
    here = captured({"click": "8.0", "colorama": "0.4"}, index, asked=["colorama"], platform="win-amd64")

    found = translate(here, TO_LINUX, known={"click": Known(version="8.0", requires=(marker,))})

    assert there(found) == {"click": "8.0", "colorama": "0.4"}


@pytest.mark.parametrize(
    ("requires", "asked", "confidence", "says"),
    [
        ((), [], Confidence.LIKELY, "for Windows only"),
        ((), ["pywin32"], Confidence.GUESS, "for Windows only"),
        (("pywin32",), [], Confidence.GUESS, "what needs it in wmi won't work there"),
    ],
)
def test_what_has_wheels_for_another_system_alone_is_left_out(
    index: Shelf, requires: tuple[str, ...], asked: list[str], confidence: Confidence, says: str
) -> None:
    index.add("wmi", "1.5", ANY, requires=requires)
    index.add("pywin32", "305", WINDOWS)
    index.add("pywin32", "306", WINDOWS, WINDOWS.replace("amd64", "arm64"))
    here = captured({"wmi": "1.5", "pywin32": "306"}, index, asked=asked, platform="win-amd64")

    found = translate(here, TO_LINUX, known={"wmi": Known(version="1.5", requires=requires)})

    assert there(found) == {"wmi": "1.5"}
    one = difference(found, "pywin32")
    assert one.there == ""
    assert one.confidence is confidence
    assert says in one.reason


@pytest.mark.parametrize("newer", [LINUX_ARM, None])
def test_what_was_not_built_for_the_target_is_no_package_of_another_system(index: Shelf, newer: str | None) -> None:
    index.add("fast", "1.0", MAC, WINDOWS)
    if newer is not None:
        index.add("fast", "1.1", newer)
    else:
        index.add("fast", "1.0")

    with pytest.raises(BadRequest, match=r"fast 1\.0 has no wheel for Linux x86_64"):
        translate(captured({"fast": "1.0"}, index), TO_LINUX, known={})


def test_what_is_needed_there_alone_comes_in_with_all_it_needs(index: Shelf) -> None:
    marker = "greenlet ; platform_machine == 'x86_64'"
    index.add("sql", "1.0", ANY, requires=[marker])
    index.add("greenlet", "3.0", LINUX, requires=["tiny"])
    index.add("tiny", "0.1", ANY)

    found = translate(
        captured({"sql": "1.0"}, index), TO_LINUX, known={"sql": Known(version="1.0", requires=(marker,))}
    )

    assert there(found) == {"sql": "1.0", "greenlet": "3.0", "tiny": "0.1"}
    assert difference(found, "greenlet").reason == "sql needs it on Linux x86_64"
    assert difference(found, "tiny").confidence is Confidence.SURE


def test_what_the_callers_own_project_needs_there_alone_comes_in(index: Shelf) -> None:
    marker = "greenlet>=2 ; sys_platform == 'linux'"
    index.add("greenlet", "3.0", LINUX)
    index.add("plain", "1.0", ANY)
    mine = Package(name="mine", version="0.1", source=Source.EDITABLE, url="file:///mine")
    here = captured({"plain": "1.0"}, index)
    here = seal(replace(here, packages=(*here.packages, mine)))

    found = translate(here, TO_LINUX, known={"mine": Known(version="0.1", requires=(marker,), tags=(ANY,))})

    assert there(found) == {"greenlet": "3.0", "mine": "0.1", "plain": "1.0"}
    assert mine in found.environment.packages


def test_what_is_required_and_not_installed_here_does_not_come_in(index: Shelf) -> None:
    index.add("shell", "1.0", ANY, requires=["huge"])
    index.add("huge", "1.0", ANY)

    found = translate(
        captured({"shell": "1.0"}, index), TO_LINUX, known={"shell": Known(version="1.0", requires=("huge",))}
    )

    assert there(found) == {"shell": "1.0"}


def test_what_is_ignored_does_not_come_back_because_others_require_it(index: Shelf) -> None:
    index.add("shell", "1.0", ANY, requires=["Huge_Thing"])
    index.add("huge-thing", "1.0", ANY)

    found = translate(captured({"shell": "1.0"}, index), TO_LINUX, known={}, ignore=["Huge.Thing"])

    assert there(found) == {"shell": "1.0"}


# -- what is the caller's own ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [Source.EDITABLE, Source.DIRECTORY, Source.VCS])
def test_a_project_that_is_compiled_here_is_refused_before_it_is_built(source: Source) -> None:
    mine = Package(name="mine", version="0.1", source=source, url="file:///mine")
    here = seal(replace(captured({}), packages=(mine,)))

    with pytest.raises(BadRequest, match=r"mine is compiled for this machine .*package_sync_ignore=\['mine'\]"):
        translate(here, TO_LINUX, known={"mine": Known(version="0.1", tags=(MAC,))})


@pytest.mark.parametrize(
    ("tag", "is_fit"), [(ANY, True), (LINUX, True), (MAC, False), ("cp312-cp312-linux_x86_64", False)]
)
def test_a_wheel_that_travels_must_run_there(tag: str, is_fit: bool) -> None:
    mine = Package(name="mine", version="0.1", source=Source.EDITABLE, url="file:///mine", artifact=SHA)
    wheel = Artifact(file_name=f"mine-0.1-{tag}.whl", sha256=SHA, size=1)
    here = replace(captured({}), packages=(mine,), artifacts=(wheel,))

    if is_fit:
        check_carried(here, TO_LINUX)
    else:
        with pytest.raises(BadRequest, match="mine is compiled for this machine"):
            check_carried(here, TO_LINUX)


def test_a_wheel_at_an_address_stays_where_it_fits_and_is_looked_for_on_the_index_where_not(index: Shelf) -> None:
    index.add("fast", "1.0", LINUX)
    address = "https://example.org/{}-1.0-{}.whl"
    plain = Package(name="plain", version="1.0", source=Source.ARCHIVE, url=address.format("plain", ANY), sha256=SHA)
    fast = Package(name="fast", version="1.0", source=Source.ARCHIVE, url=address.format("fast", MAC), sha256=SHA)
    here = seal(replace(captured({}, index), packages=(fast, plain)))

    found = translate(here, TO_LINUX, known={})

    assert plain in found.environment.packages
    assert Package(name="fast", version="1.0") in found.environment.packages


# -- asking ------------------------------------------------------------------------------------------------------------


def test_the_second_time_nobody_is_asked(index: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add("fast", "1.2.3", MAC)
    index.add("fast", "1.2.4", LINUX)
    here = captured({"fast": "1.2.3"}, index)
    first = translate(here, TO_LINUX, known={}, cache=tmp_path / "cache")
    monkeypatch.setattr(subprocess, "run", None)

    assert translate(here, TO_LINUX, known={}, cache=tmp_path / "cache") == first
    (file,) = (tmp_path / "cache" / "translations").iterdir()
    monkeypatch.undo()
    file.write_text(file.read_text()[:100])
    assert translate(here, TO_LINUX, known={}, cache=tmp_path / "cache") == first


def test_what_was_refused_is_asked_again(index: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index.add("fast", "1.2.3", LINUX_ARM)
    here = captured({"fast": "1.2.3"}, index)
    with pytest.raises(BadRequest):
        translate(here, TO_LINUX, known={}, cache=tmp_path / "cache")
    index.add("fast", "1.2.3", LINUX, LINUX_ARM)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "later"))  # uv itself believes an index for ten minutes

    found = translate(here, TO_LINUX, known={}, cache=tmp_path / "cache")

    assert found.differences == ()


def test_who_is_asked_by_name_is_another_question(index: Shelf, tmp_path: Path) -> None:
    marker = "colorama ; sys_platform == 'win32'"
    index.add("click", "8.0", ANY, requires=[marker])
    index.add("colorama", "0.4", ANY)
    known = {"click": Known(version="8.0", requires=(marker,))}
    pins = {"click": "8.0", "colorama": "0.4"}

    counts = [
        len(
            translate(
                captured(pins, index, asked=asked, platform="win-amd64"), TO_LINUX, known=known, cache=tmp_path / "c"
            ).environment.packages
        )
        for asked in ([], ["colorama"])
    ]

    assert counts == [1, 2]


def test_an_index_that_does_not_answer_is_named_with_what_uv_says(index: Shelf) -> None:
    here = replace(captured({"fast": "1.0"}, index), indexes=("http://127.0.0.1:9/simple",))

    with pytest.raises(BadRequest, match=r"(?s)It says:.*http://127.0.0.1:9/simple.*Connection refused"):
        translate(here, TO_LINUX, known={})


def test_a_password_opens_an_index_and_is_in_no_argument_and_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = []
    run = subprocess.run

    def watched(command: list[str], **options: object) -> object:
        commands.append(command)
        return run(command, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(uv.subprocess, "run", watched)
    with shelf(tmp_path / "shelf", secret="me:s3cret") as index:
        index.add("fast", "1.0", LINUX)
        here = captured({"fast": "1.0"}, index)
        open_, wrong = (index.address.replace("//", f"//me:{word}@") for word in ("s3cret", "wr0ng"))

        found = translate(here, TO_LINUX, known={}, addresses={index.address: open_})
        with pytest.raises(BadRequest) as refused:
            translate(here, TO_LINUX, known={}, addresses={index.address: wrong})

    assert there(found) == {"fast": "1.0"}
    assert "s3cret" not in repr(found) + repr(commands)
    assert "wr0ng" not in str(refused.value) + repr(commands)
    assert "401 Unauthorized" in str(refused.value)


def test_two_indexes_are_one_where_each_has_a_wheel_for_one_platform(tmp_path: Path) -> None:
    with shelf(tmp_path / "one") as one, shelf(tmp_path / "other") as other:
        one.add("fast", "1.0", MAC)
        other.add("fast", "1.0", LINUX)
        here = replace(captured({"fast": "1.0"}), indexes=(one.address, other.address))

        assert translate(here, TO_LINUX, known={}).differences == ()


def test_without_uv_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uv, "find_uv", lambda: None)
    monkeypatch.setattr(uv.importlib.util, "find_spec", lambda name: None)

    with pytest.raises(MissingExtra, match=r"pip install 'tradewind\[software\]'"):
        translate(captured({"fast": "1.0"}), TO_LINUX, known={})


def test_without_rattler_the_line_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    python = Package(name="python", version="3.11.9", source=Source.CONDA, subdir="osx-arm64")

    def nothing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(module.importlib, "import_module", nothing)
    with pytest.raises(MissingExtra, match="pip install py-rattler"):
        translate(seal(replace(captured({}), packages=(python,))), TO_LINUX, known={})
