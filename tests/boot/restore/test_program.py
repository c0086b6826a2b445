"""The text that is sent: one file, of the standard library alone, for an old Python."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.boot.restore.machine import environment, pins
from tradewind.boot import restore
from tradewind.boot.restore import order, program

ROOM = Path(restore.__file__).parent


def parts() -> str:
    found = next(
        node for node in ast.walk(ast.parse(program())) if isinstance(node, ast.Constant) and "def " in str(node.value)
    )
    return str(found.value)


def test_it_imports_nothing_but_the_standard_library() -> None:
    tree = ast.parse(parts())
    asked = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    asked |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert {name.partition(".")[0] for name in asked} <= sys.stdlib_module_names


def test_every_part_is_sent() -> None:
    assert {path.stem for path in ROOM.glob("*.py")} - {"__init__"} == set(restore.PARTS)


def test_no_two_parts_have_a_name_in_common() -> None:
    names: Counter[str] = Counter()
    for node in ast.parse(parts()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names[node.name] += 1
        elif isinstance(node, ast.Assign):
            names.update(target.id for target in node.targets if isinstance(target, ast.Name))

    assert [name for name, count in names.items() if count > 1] == []


def test_python_3_9_can_read_it() -> None:
    ast.parse(parts(), feature_version=(3, 9))


@pytest.mark.parametrize("version", ["3.6", "3.8"])
def test_a_python_too_old_says_so(version: str) -> None:
    # Such a Python is rarely there, so that the check is tried on what it reads first.
    head = program().partition("exec(")[0].replace("sys.version_info", f"({version.replace('.', ', ')})")

    answer = subprocess.run([sys.executable, "-I", "-S", "-c", head], capture_output=True, text=True, check=False)

    assert answer.returncode == 1
    assert f"begins with Python {version}" in answer.stdout


def test_it_runs_from_standard_input(tmp_path: Path) -> None:
    told = tmp_path / "order.json"
    told.write_text("{}")

    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-", told], input=program(), capture_output=True, text=True, check=False
    )

    assert answer.returncode == 1
    assert '"failed": "broken_order"' in answer.stdout
    assert answer.stderr == ""


def test_an_order_holds_what_the_program_reads() -> None:
    made = order(environment(*pins("alpha")), files={"uv": "/uv.whl"}, keep_days=3)

    assert made["keep_days"] == 3
    assert os.path.isabs(made["files"]["uv"])  # type: ignore[index]
    assert made["environment"]["packages"][0]["source"] == "index"  # type: ignore[index]
