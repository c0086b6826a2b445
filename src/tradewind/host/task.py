"""What a provider has launched. It holds secrets: it travels over socket pairs, pipes and encrypted channels only."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from tradewind.boot.process import Boot
from tradewind.host.records import Records
from tradewind.model.instance import Marks

START_ONLY = ("PYTHON", "LD_", "DYLD_", "OMP_", "MKL_", "OPENBLAS_", "NUMEXPR_", "MALLOC_", "GOTO_", "VECLIB_", "BLIS_")
"""Variables with these beginnings are read when an interpreter or a library starts: too late after a fork."""

HOME = str(Path(__file__).parents[2])
"""The directory Tradewind is imported from."""

ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
"""Dask runs the threads, so the libraries below it should not; and only a process of one thread can safely fork."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One instance to launch."""

    root: Path
    """Of the records."""
    marks: Marks
    boot: Boot
    expires_at: datetime | None
    environ: Mapping[str, str] = field(default_factory=dict)
    """The caller's variables that differ from those the warm process started with."""
    address: str = "127.0.0.1"
    """Where it listens: an address of this host that its cluster and its client reach."""
    is_fresh: bool = False
    """Whether the process that keeps it was started for it alone, with its variables."""
    counts_silence: bool = False
    """Whether it ends when its host wasn't heard of for long, though it may still reach others. Only for hosts that
    note when they were heard (:class:`~tradewind.host.bare.silence.Silence`)."""
    farewell: tuple[tuple[str, ...], ...] = ()
    """Commands that its keeper runs when it has ended, as one that takes back what still waits in a queue."""

    @property
    def records(self) -> Records:
        """Where the instance leaves its notes."""
        return Records(self.root)

    @property
    def variables(self) -> dict[str, str]:
        """What to set in the Dask process; the cluster's own win."""
        return {**self.environ, **self.boot.environ}

    @property
    def needs_a_fresh_start(self) -> bool:
        """Whether a variable is among these that a forked process would not heed."""
        return not self.is_fresh and any(name.startswith(START_ONLY) for name in self.variables)


def python_command(module: str, descriptor: int) -> list[str]:
    """Return the command that runs ``main`` of one of our modules in a new interpreter.

    Without the working directory on its path, where a ``random.py`` may lie; and with Tradewind at the end of the
    path, not by PYTHONPATH, which would go down to everything a user's task starts.
    """
    program = program_of(module, "sys.exit(main(int(sys.argv[1])))")
    return [sys.executable, "-P", "-c", program, str(descriptor)]


def program_of(module: str, call: str, *, home: str | None = HOME) -> str:
    """Return the text for ``python -P -c`` that makes ``call`` with the ``main`` of one of our modules.

    Where ``home`` is None, that Python has them among its packages.
    """
    found = "" if home is None else f"sys.path.append({home!r}); "
    return f"import sys; {found}from {module} import main; {call}"
