"""What the clerk on a login node knows that only a login tells."""

import os
import pwd
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from tradewind.host.bare import clerk

PROFILES = {"bash": ".bash_profile", "sh": ".profile", "dash": ".profile", "tcsh": ".login", "zsh": ".zprofile"}
"""What a login reads, and nobody else, by the shell."""


def have(monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    """Make ``shell`` this user's."""
    monkeypatch.setattr(pwd, "getpwuid", lambda _: SimpleNamespace(pw_shell=shell, pw_name="me"))


@pytest.mark.parametrize("name", PROFILES)
def test_variables_that_only_a_login_sets_are_known_whatever_the_shell(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = shutil.which(name)
    if shell is None:
        pytest.skip(f"there is no {name}")
    line = "setenv MODULES_OF_LOGIN yes" if name == "tcsh" else "export MODULES_OF_LOGIN=yes"
    (tmp_path / PROFILES[name]).write_text(f"echo welcome\n{line}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    have(monkeypatch, shell)

    assert clerk._after_login().get("MODULES_OF_LOGIN") == "yes"


def test_a_login_that_shows_nothing_is_told_where_a_command_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    have(monkeypatch, "/bin/false")
    asked = clerk.Clerk(str(tmp_path), {"kept": ["PATH"], "beginnings": []})

    said = asked.execute({"command": ["sbotch"], "variables": {}, "holds": False, "text": "", "within_s": 5})

    assert said["absent"] == (
        f"no sbotch on its PATH ({os.environ['PATH']}; your login shell, /bin/false, told nothing of its own)"
    )
