"""Which files of a directory are the user's work: those that git sees, else all but what tools leave behind."""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tradewind.errors import BadRequest

GIT_S = 30.0
"""Seconds that git may take; a repository on a slow network disk needs some."""
MOST_FILES = 20_000
"""Looked at in one directory without git: who has more stands in their home, not in a project."""
LEAVINGS = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist", "venv", "env"})
"""Directories that tools make."""
LEFT_ENDS = (".pyc", ".pyo", ".egg-info", ".dist-info", ".egg", ".whl")
BIGGEST = 5


@dataclass(frozen=True, slots=True)
class Listing:
    """The files of a directory."""

    directory: Path
    names: tuple[str, ...]
    """Relative, with ``/``, sorted."""
    by_git: bool
    """Whether git said which; else it is a guess."""

    def digest(self, *also: str) -> str:
        """Return a sha256 over names, contents and ``also``."""
        found = hashlib.sha256("\n".join(also).encode(errors="surrogateescape"))
        for name in self.names:
            with (self.directory / name).open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            found.update(f"\0{name}\0{content}".encode(errors="surrogateescape"))
        return found.hexdigest()


def listing(directory: Path, most: int = MOST_FILES) -> Listing:
    """Return the files of ``directory`` that are the user's: tracked by git or new and not ignored.

    Without git, all but hidden ones and what tools leave behind: caches, builds, environments.

    Raises
    ------
    BadRequest
        Without git, there are more than ``most``.
    """
    seen = _by_git(directory)
    if seen is not None:
        return Listing(directory, tuple(sorted(seen)), by_git=True)
    names = []
    for name in _walk(directory):
        names.append(name)
        if len(names) > most:
            raise BadRequest(
                f"{directory} has more than {most:,} files, too many to look through: start Python in the directory "
                "of your project, or make it a git repository with a .gitignore that names the data."
            )
    return Listing(directory, tuple(sorted(names)), by_git=False)


def described(directory: Path) -> str:
    """Return what git calls the state of ``directory``; versions are made of it. Empty without git."""
    return (_git(directory, "describe", "--tags", "--always", "--long", "--dirty") or b"").decode(errors="replace")


def git_directory(directory: Path) -> Path | None:
    """Return where git keeps what it knows of ``directory``, where that is its top; else None."""
    answer = _git(directory, "rev-parse", "--show-prefix", "--absolute-git-dir")
    if answer is None:
        return None
    prefix, _, place = os.fsdecode(answer).partition("\n")
    return Path(place.rstrip("\n")) if not prefix and place.strip() else None


def refuse_too_big(what: str, sizes: Mapping[str, int], limit: int, advice: str) -> None:
    """Raise BadRequest, with the biggest files by name, if all together have more than ``limit`` bytes."""
    total = sum(sizes.values())
    if total <= limit:
        return
    biggest = sorted(sizes, key=lambda name: (-sizes[name], name))[:BIGGEST]
    lines = "\n".join(f"  {_mib(sizes[name]):>10}  {name}" for name in biggest)
    raise BadRequest(
        f"{what} has {_mib(total)}, and {_mib(limit)} may travel with a cluster. The biggest files:\n{lines}\n{advice}"
    )


def is_leaving(directory: Path, name: str) -> bool:
    """Return whether ``name`` in ``directory`` is what a tool made, or hidden."""
    if name.startswith(".") or name in LEAVINGS or name.endswith(LEFT_ENDS):
        return True
    return (directory / name / "pyvenv.cfg").exists() or (directory / name / "conda-meta").is_dir()


def _mib(size: int) -> str:
    return f"{size / 2**20:,.1f} MiB"


def _by_git(directory: Path) -> list[str] | None:
    answer = _git(directory, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    if answer is None:
        return None
    names = []
    for name in dict.fromkeys(os.fsdecode(part) for part in answer.split(b"\0") if part):
        path = directory / name
        if path.is_file():  # what was deleted stands in the index still
            names.append(name.removesuffix("/"))
        elif path.is_dir() and not path.is_symlink() and name != "./":  # another repository inside
            names += [f"{name.rstrip('/')}/{inner}" for inner in _by_git(path) or ()]
    return names


def _git(directory: Path, *words: str) -> bytes | None:
    """Return what git says; None where there is none, or it knows nothing of ``directory``."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # in a hook they lie
    environ["GIT_OPTIONAL_LOCKS"] = "0"
    try:
        done = subprocess.run(
            ["git", "-C", str(directory), *words], capture_output=True, check=False, timeout=GIT_S, env=environ
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _walk(directory: Path) -> Iterator[str]:
    for place, inner, names in os.walk(directory):
        here = Path(place)
        inner[:] = sorted(name for name in inner if not is_leaving(here, name))
        for name in names:
            if not name.startswith(".") and not name.endswith(LEFT_ENDS) and (here / name).is_file():
                yield (here / name).relative_to(directory).as_posix()


def sizes_of(directory: Path, names: Iterable[str] | Sequence[str]) -> dict[str, int]:
    """Return the bytes of each file of ``directory``."""
    return {name: (directory / name).stat().st_size for name in names}
