"""What people edit is seen, and what hangs on it is found."""

from __future__ import annotations

import importlib.util
import os
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tradewind.boot.environment.own import (
    digests,
    digests_in,
    forget_compiled,
    own_files,
    refuse_broken,
    to_load_anew,
    touched_since,
)
from tradewind.errors import BadRequest


def contents(files: dict[str, str]) -> dict[str, Callable[[], bytes]]:
    return {name: text.encode for name, text in files.items()}


FILES = {
    "alone.py": "import numpy",
    "base.py": "x = 1",
    "user.py": "import base",
    "far.py": "from user import x",
    "late.py": "def f():\n    import base as b\n",
    "named.py": "import importlib\nm = importlib.import_module('base')",
    "package/__init__.py": "",
    "package/inner.py": "from base import (\n    x,\n)",
    "other/a.py": "from .b import y",
    "other/b.py": "base = 1  # no use of it",
    "database.py": "import database_base, my.base",
}

ANEW = [
    ("a module that nobody imports", ["alone.py"], {"alone"}),
    (
        "all that import it, however, and those that import them",
        ["base.py"],
        {"base", "user", "far", "late", "named", "package"},
    ),
    ("a package as a whole", ["package/inner.py"], {"package"}),
    ("data of a package", ["package/table.csv"], {"package"}),
    ("what is gone", ["gone.py"], {"gone"}),
    ("a compiled module", ["fast.cpython-311-x86_64-linux-gnu.so"], {"fast"}),
    ("never what runs the cluster", ["tradewind/config.py"], set()),
]


@pytest.mark.parametrize(("changed", "anew"), [row[1:] for row in ANEW], ids=[row[0] for row in ANEW])
def test_is_loaded_anew(changed: list[str], anew: set[str]) -> None:
    assert to_load_anew(changed, contents(FILES)) == anew


NAMES = st.sampled_from(["ash", "beech", "cedar", "elm", "fir", "oak"])


@given(imports=st.dictionaries(NAMES, st.sets(NAMES)), changed=st.sets(NAMES, min_size=1))
def test_nobody_who_imports_what_is_loaded_anew_keeps_the_old(imports: dict[str, set[str]], changed: set[str]) -> None:
    files = {f"{name}.py": "".join(f"import {other}\n" for other in others) for name, others in imports.items()}

    anew = to_load_anew([f"{name}.py" for name in changed], contents(files))

    assert changed <= anew
    assert {name for name, others in imports.items() if others & anew} <= anew
    reached = set(changed)
    for _ in imports:
        reached |= {name for name, others in imports.items() if others & reached}
    assert anew == reached, "and nobody else"


BROKEN = [
    ("half a line", "x = 1\ny = 2 +\n", r"mod\.py, line 2: invalid syntax: 'y = 2 \+'"),
    ("no function around it", "x = 1\n\nreturn x\n", r"mod\.py, line 3: 'return' outside function"),
    ("a NUL", "x = '\0'", r"mod\.py.*: source code .*null bytes"),
]


@pytest.mark.parametrize(("text", "said"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_what_python_cannot_read_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        refuse_broken(["mod.py"], lambda name: text.encode(), lambda name: f"/home/ada/{name}")


def test_only_modules_are_read_and_warnings_are_nobodys_fault(recwarn: pytest.WarningsRecorder) -> None:
    texts = {"table.csv": b"a b c +", "odd.py": b"x = 1 is 1"}
    refuse_broken(texts, texts.__getitem__, str)
    assert not recwarn.list


def test_modules_and_projects_that_were_copied_are_own_and_other_packages_are_not(tmp_path: Path) -> None:
    work, site = tmp_path / "work", tmp_path / "lib" / "site-packages"
    work.mkdir()
    site.mkdir(parents=True)
    (work / "drift.py").write_text("x = 1")
    (work / "swell").mkdir()
    (work / "swell" / "__init__.py").write_text("")
    (site / "copied.py").write_text("x = 1")
    (site / "fetched.py").write_text("x = 1")
    for name, origin in (("copied", '{"url": "file:///home/ada/copied", "dir_info": {}}'), ("fetched", "")):
        info = site / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "RECORD").write_text(f"{name}.py,,\n{name}-1.0.dist-info/METADATA,,\n{name}-1.0.dist-info/RECORD,,\n")
        if origin:
            (info / "direct_url.json").write_text(origin)

    found = own_files(path=[str(work), str(site)], working_directory=work)

    assert set(found) == {"drift.py", "swell/__init__.py", "copied.py"}


def test_a_file_that_was_put_there_with_an_old_date_counts_as_changed(tmp_path: Path) -> None:
    file = tmp_path / "old.py"
    file.write_text("x = 1")
    os.utime(file, (1, 1))
    began = time.time()
    assert touched_since({"old.py": file}, began - 60) == {"old.py"}
    assert touched_since({"old.py": file}, began + 60) == frozenset()
    assert touched_since({"gone.py": tmp_path / "gone.py"}, 0) == frozenset()


def test_of_what_was_compiled_before_nothing_is_taken_for_current(tmp_path: Path) -> None:
    file = tmp_path / "drift.py"
    file.write_text("x = 1")
    compiled = Path(importlib.util.cache_from_source(str(file)))
    compiled.parent.mkdir()
    compiled.write_bytes(b"old")
    forget_compiled({"drift.py": file, "swell.py": tmp_path / "swell.py"}, ["drift.py", "swell.py", "gone.py"])
    assert not compiled.exists()
    assert file.exists()


def test_a_wheel_and_a_directory_with_the_same_files_have_the_same_digests(tmp_path: Path) -> None:
    files = {"swell/__init__.py": "x = 1", "swell/data.csv": "1,2"}
    wheel = tmp_path / "swell-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("swell/__init__.py", "x = 1")
        archive.writestr("swell-1.0.data/purelib/swell/data.csv", "1,2")
        archive.writestr("swell-1.0.data/scripts/swell", "#!python")
        archive.writestr("swell-1.0.dist-info/METADATA", "Name: swell")
        archive.writestr("tradewind/config.py", "")
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert digests_in([wheel]) == digests({name: tmp_path / name for name in files})
