"""Runs commands of a batch system on this machine: the one place where anything is run."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from tradewind.errors import NotSetUp, Unavailable
from tradewind.providers.batch.queue import Queue

PATIENCE_S = 20.0
"""How long a command may take: a busy controller takes ten seconds, and one that is gone keeps everybody waiting."""
KEPT = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "KRB5CCNAME", "LD_LIBRARY_PATH"})
KEPT_BEGINNINGS = ("LC_", "SLURM_CONF", "SLURM_CLUSTERS", "SGE_", "PBS_CONF", "PBS_DEFAULT", "LSF_", "CONDOR_CONFIG")
"""Everything else stays out: within a job (a notebook of JupyterHub) there are variables that change what commands do,
and a queue keeps what a submission has in its environment, where a cloud's keys may stand."""


def require(queue: Queue | type[Queue]) -> None:
    """Raise NotSetUp where this machine has not all of a system's commands."""
    missing = [program for program in queue.programs if shutil.which(program) is None]
    if missing:
        raise NotSetUp(
            f"{', '.join(missing)} isn't on this machine's PATH: run this on a "
            f"login node of the cluster, or load the module that has {queue.name}'s commands"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    error: str


class CommandRunner(Protocol):
    """Runs commands of a batch system, as the user."""

    async def run(
        self, command: Sequence[str], *, text: str = "", keeps: Sequence[int] = (), patience_s: float = PATIENCE_S
    ) -> Said:
        """Run a command to its end.

        Parameters
        ----------
        command : sequence of str
            Program and arguments; no shell reads them.
        text : str
            For its standard input.
        keeps : sequence of int
            Descriptors that it holds open, such as that of a lock that must last as long as it does.
        patience_s : float
            Seconds it may take.

        Raises
        ------
        Unavailable
            It isn't there, or took too long; it may have done what it was asked.
        ConfigError
            It isn't there, and whoever chose where commands run can help it.
        """


class Runner:
    """Runs them on this machine, in a clean environment.

    Parameters
    ----------
    variables : mapping
        Set for every command.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = dict(variables)

    async def run(
        self, command: Sequence[str], *, text: str = "", keeps: Sequence[int] = (), patience_s: float = PATIENCE_S
    ) -> Said:
        """See :meth:`CommandRunner.run`."""
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self.environ(os.environ),
                pass_fds=tuple(keeps),
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"{command[0]} can't be run: {error.strerror}") from None
        try:
            async with asyncio.timeout(patience_s):
                out, error_text = await process.communicate(text.encode())
        except TimeoutError:
            raise Unavailable(f"{command[0]} didn't answer within {patience_s:.0f} s") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        assert process.returncode is not None
        return Said(
            code=process.returncode, out=out.decode(errors="replace"), error=error_text.decode(errors="replace")
        )

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of a command: what it takes to find its system, and no more."""
        kept = {n: v for n, v in environ.items() if n in KEPT or n.startswith(KEPT_BEGINNINGS)}
        return {**kept, **self._variables}
