"""The Dask process itself: forked by its keeper, or started afresh where its variables ask for it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import pickle
import signal
import sys
import traceback
from typing import NoReturn

import distributed
from setproctitle import setproctitle, setthreadtitle

from tradewind.agent.scheduler import AgentSettings
from tradewind.agent.scheduler import attach as attach_to
from tradewind.boot.process import Boot
from tradewind.boot.serve import DEATH_TIMEOUT_S, Agent, CantServe, Surroundings, prepare_process, serve
from tradewind.host.bare.ground import VARIABLE
from tradewind.host.meeting import Crew, Meets
from tradewind.host.task import Task, python_command
from tradewind.model.instance import Contact

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
FAULT_EXIT = 3
"""Exit code of a Dask process that left a sentence on why it can't go on."""


def prctl(option: int, value: int) -> None:
    """Call Linux' ``prctl``; does nothing elsewhere, and a refusal is no error."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def show_as(program: str, task: Task) -> None:
    """Let lists of processes show what this one is."""
    marks = task.marks
    setproctitle(f"{program} {marks.role} {marks.cluster} {marks.instance}")
    # The short name is set with it, and one with a blank hides a process from Slurm's proctrack/linuxproc, which could
    # then neither end it nor count what it takes.
    setthreadtitle(program)


def attach_agent(scheduler: distributed.Scheduler, boot: Boot, host: str = "127.0.0.1") -> Agent:
    """Put Tradewind's agent on a scheduler; it listens on ``host``."""
    settings = AgentSettings(
        cluster_id=boot.cluster_id,
        token=boot.agent_token,
        keys=boot.keys,
        host=host,
        orphan_timeout_s=boot.orphan_timeout_s,
        paid_for_s=boot.paid_for_s,
        record_history=boot.record_history,
        record_code=boot.record_code,
        ends_process=True,
    )
    return attach_to(scheduler, settings)


def become_dask(task: Task, poke: int, keeper: int) -> int:
    """Turn this process, just forked by its keeper, into the Dask process; returns its exit code.

    Parameters
    ----------
    task : Task
        What to run.
    poke : int
        Descriptor that wakes the provider: one line for each thing that may interest it.
    keeper : int
        Process id of the keeper; without it this process must not live.
    """
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        return -signal.SIGKILL
    run = task.records.run(task.marks.order)
    log = os.open(run.directory / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if task.needs_a_fresh_start:
        _start_afresh(task, poke, keeper)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return run_dask(task, poke, keeper)


def run_dask(task: Task, poke: int, keeper: int) -> int:
    """Run the scheduler or the worker until it ends; returns the exit code."""
    records = task.records
    run = records.run(task.marks.order)

    def tell() -> None:
        try:
            os.write(poke, b"changed\n")
        except OSError:
            return  # the warm process is gone, and its provider with it; others look by themselves

    def on_contact(contact: Contact) -> None:
        records.announce(task.marks, contact)
        tell()

    def on_ready() -> None:
        run.note("ready")
        tell()

    async def find_scheduler() -> str:
        wait_s = 0.003
        while (contact := records.contact_of(task.marks.cluster)) is None:
            await asyncio.sleep(wait_s)
            wait_s = min(wait_s * 1.05, 0.25)
        return contact.scheduler

    def attach(scheduler: distributed.Scheduler, boot: Boot) -> Agent:
        if task.counts_silence:
            Crew(scheduler, run.directory, task.address, boot.orphan_timeout_s)
        return attach_agent(scheduler, boot, host=task.address)

    around = Surroundings(
        attach=attach,
        on_contact=on_contact,
        on_ready=on_ready,
        find_scheduler=find_scheduler,
        local_directory=str(run.scratch),
        host=task.address,
        plugins=(Meets(run.directory, task.marks.instance, task.address),) if task.counts_silence else (),
        # On another host the scheduler's software may still be on its way there.
        patience_s=task.boot.orphan_timeout_s if task.is_fresh else DEATH_TIMEOUT_S,
        # Where the kernel doesn't end us with our keeper (macOS), we look for it ourselves.
        still_wanted=lambda: os.getppid() == keeper,
    )
    try:
        show_as("dask", task)
        os.environ.update(task.environ)
        os.environ[VARIABLE] = task.marks.order
        prepare_process(task.boot)
        asyncio.run(serve(task.boot, around))
    except CantServe as error:
        traceback.print_exc()
        run.note("fault", str(error))
        return FAULT_EXIT
    except BaseException:  # the last frame of this process: all there is left to do is to say why
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def _start_afresh(task: Task, poke: int, keeper: int) -> None:
    receive, send = os.pipe()
    os.set_inheritable(receive, True)
    os.set_inheritable(poke, True)
    if os.fork() == 0:
        # A writer of its own: a boot larger than the pipe's buffer would wait for a reader that isn't there yet.
        os.close(receive)
        write_whole(send, pickle.dumps((task, poke, keeper)))
        os._exit(0)
    os.close(send)
    command = python_command("tradewind.host.process", receive)
    os.execve(sys.executable, command, {**os.environ, **task.variables})


def write_whole(descriptor: int, data: bytes) -> None:
    """Write all of ``data``."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def main(receive: int) -> NoReturn:
    """Run what comes out of a pipe, the second half of a fresh start; never returns."""
    with open(receive, "rb") as source:
        task, poke, keeper = pickle.loads(source.read())
    os.waitpid(-1, 0)
    os.set_inheritable(poke, False)
    # Not a return: an interpreter that shuts down waits for threads, and a task may run in one for hours.
    os._exit(run_dask(task, poke, keeper))
