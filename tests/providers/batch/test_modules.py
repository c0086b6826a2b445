"""Modules that may matter, found among all that a site has.

The lists are those of Environment Modules 5.2 and Lmod 8.6, asked for the same tree.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tradewind.errors import Unavailable
from tradewind.providers.batch.modules import Module, modules_of, read_modules
from tradewind.providers.batch.runner import PATIENCE_S, Runner, Said

CASES = Path(__file__).parent / "cases"


@pytest.mark.parametrize(
    ("case", "python"),
    [
        ("modules-tcl.txt", "3.10.4"),  # the site's default, which it marks
        ("modules-lmod.txt", "3.11.3"),  # Lmod doesn't say: the newest
    ],
)
def test_of_each_name_that_matters_the_default_or_the_newest_is_named(case: str, python: str) -> None:
    assert read_modules((CASES / case).read_text()) == (
        Module(name="cray-python", version="3.11.7"),
        Module(name="cuda", version="12.4.1", others=1),
        Module(name="Miniforge3", version="24.1.2-0"),
        Module(name="Python", version=python, others=2),
        Module(name="tools/python3", version="3.12"),
    )


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("conda", ["conda"]),
        ("lang/Anaconda3/2024.02-1", ["lang/Anaconda3/2024.02-1"]),
        ("python/3.9\npython/3.10\npython/system(system:default)", ["python/system"]),
        ("cuda/11.8 <aL>", ["cuda/11.8"]),
        ("cuda/12.4\ncuda/12.4.1\ncuda/9.2", ["cuda/12.4.1"]),
        ("python2/2.7\npythonic/1\ncudnn/9\nbiopython/1.8\nWelcome to python/conda!", []),
        ("", []),
    ],
)
def test_lists_of_many_forms_are_read(text: str, names: list[str]) -> None:
    assert [one.whole for one in read_modules(text)] == names


async def test_a_login_shell_is_asked_that_knows_the_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".bash_profile").write_text(
        'echo welcome\nmodule() { [ "$*" = "-t avail" ] && echo python/3.12 >&2; }\n'
    )
    monkeypatch.setenv("HOME", str(tmp_path))

    assert await modules_of(Runner({})) == (Module(name="python", version="3.12"),)

    (tmp_path / ".bash_profile").write_text(
        'LMOD_CMD=/lmod\nmodule() { [ "$*" = "-t spider" ] && echo python/3.13 >&2; }\n'
    )
    assert await modules_of(Runner({})) == (Module(name="python", version="3.13"),)


async def test_a_site_that_has_no_modules_or_lists_them_for_ever_is_found_all_the_same() -> None:
    class Slow:
        async def run(
            self, command: Sequence[str], *, text: str = "", keeps: Sequence[int] = (), patience_s: float = PATIENCE_S
        ) -> Said:
            raise Unavailable("bash didn't answer within 60 s")

    assert await modules_of(Slow()) == ()
