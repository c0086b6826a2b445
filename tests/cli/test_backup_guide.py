"""The guide to backups, its commands run as they are written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from tests.postgres import Postgres

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "backup.md"
BLOCKS = re.findall(r"^```bash\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
TRADEWIND = f"""set -euo pipefail
tradewind() {{ {sys.executable} -c 'from tradewind.cli import main; main()' "$@"; }}
"""


def run(script: str, home: Path, *directories: Path) -> str:
    """Run a script as a user who has nothing but this home, and return what it printed."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TRADEWIND", "XDG", "PG"))}
    environ |= {"HOME": str(home), "PYTHONPATH": os.pathsep.join(sys.path)}
    environ["PATH"] = os.pathsep.join([*map(str, directories), environ["PATH"]])
    done = subprocess.run(["bash", "-c", TRADEWIND + script], cwd=home, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the guide names the directory that Linux has")
def test_a_store_in_a_file_is_copied_and_restored_as_the_guide_says(tmp_path: Path) -> None:
    copying, restoring = BLOCKS[:2]

    printed = run(copying + restoring, tmp_path)

    store = tmp_path / ".local" / "share" / "tradewind" / "tradewind.db"
    assert printed.splitlines()[-1] == f"{store}: restored from tradewind.backup"


def test_a_store_on_postgresql_is_copied_and_restored_as_the_guide_says(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(postgres_url) as connection:
        connection.execute("INSERT INTO facts VALUES ('mine', 'kept')")
    server, _, database = postgres_url.rpartition("/")
    copying, restoring = (
        block.replace("postgresql://tradewind@db.example.org/tradewind", postgres_url).replace(
            "postgresql://tradewind@db.example.org", server
        )
        for block in BLOCKS[2:]
    )

    printed = run(copying + restoring, tmp_path, postgres.bin)

    restored = f"{server}/restored"
    assert printed == f"{restored}: all is well\n"
    with psycopg.connect(restored) as connection:
        assert connection.execute("SELECT value FROM facts WHERE name = 'mine'").fetchone() == ("kept",)
    postgres.drop(restored)
