"""What a batch job runs first: takes the order that waits for it and becomes the keeper of its instance.

A job may wait for days, so it looks before it starts: whether its order still stands, and whether anybody has looked
after it lately. Run by the caller's own Python, on a file system that the caller sees too.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from typing import Any

from tradewind.host.bare.ground import VARIABLE, iso, machine_boot, own_claim, read_json, remove, write

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)
"""By which an end is asked for; Grid Engine sends the last of them some time before it kills."""
HEARD = "heard"
"""Touched, below the root of the records, as long as somebody looks after what runs there."""
QUEUES_OWN = (
    *("SLURM", "PBS_", "SGE_", "LSB_", "LS_", "_CONDOR_"),
    *("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "GPU_DEVICE_ORDINAL"),
)
"""Variables that the queue sets for this job: the caller's of the same name are of another one."""
NODES_OWN = {"TMPDIR", "TMP", "TEMP", "HOSTNAME", "PWD", "OLDPWD", "XDG_RUNTIME_DIR"}
JOBS_OWN = {
    *("JOB_ID", "JOB_NAME", "JOB_SCRIPT", "TASK_ID", "QUEUE", "REQUEST", "RESTARTED", "TW_INDEX"),
    *("NSLOTS", "NHOSTS", "NQUEUES", "PE", "PE_HOSTFILE"),
}
"""The same, with names that mean something else where no queue sets them: the job's win where it has them."""
RUNS_WITHIN_S = 20.0
LETTER_LIMIT = 1 << 30
"""Bytes of an order: nobody but us writes those."""
ENDS_BEFORE_S = 10.0
"""How long before the queue would kill it an instance ends by itself, so that it can say why."""
LEAVES_BEFORE = 0.1
"""Of its time: how long before its end a worker begins to hand over its results, but ``LEAVES_AT_MOST_S``."""
LEAVES_AT_MOST_S = 120.0


def main(letter: str) -> None:
    """Take the order in the file ``letter`` and become its keeper; returns where there is nothing to do."""
    order = read_json(letter, LETTER_LIMIT)
    if order is None:
        return  # it was given up, or another job of the same order has taken it
    run = os.path.join(order["root"], "runs", order["order"])
    if not _claim(run, order):
        remove(letter)
        return
    # It holds the keys of the cluster: nobody needs it any more.
    remove(letter)
    log = os.open(os.path.join(run, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    silent_s = silent_for(order["root"])
    if silent_s is not None and silent_s > order["alone_s"]:
        words = f"nobody has looked after it for {silent_s / 60:.0f} minutes, so it didn't start"
        _end(run, words)
        # Nor is anybody there for those that wait behind it.
        _run(order.get("end_all") or [], environ_of(order))
        return
    try:
        order["task"]["address"] = address_of(order["interface"])
    except OSError as error:
        _end(run, str(error))
        return
    within(order, time.time())
    _become(order)


def _claim(run: str, order: dict[str, Any]) -> bool:
    os.makedirs(run, mode=0o700, exist_ok=True)
    draft = os.path.join(run, f".claim-{socket.gethostname()}-{os.getpid()}")
    try:
        with open(draft, "w", encoding="utf-8") as file:
            json.dump({**own_claim(machine_boot()), "marks": order["marks"]}, file)
        # A link fails if its name exists, so that of two jobs with the same order one wins.
        os.link(draft, os.path.join(run, "instance.json"))
    except FileExistsError:
        return False
    finally:
        remove(draft)
    return True


def silent_for(root: str) -> float | None:
    """Return for how many seconds nobody has looked after what runs below ``root``; None where that isn't known.

    Both times are those of the file server: a node's clock may be off.
    """
    try:
        heard = os.stat(os.path.join(root, HEARD)).st_mtime
        with tempfile.TemporaryFile(dir=root) as now:
            return os.fstat(now.fileno()).st_mtime - heard
    except OSError:
        return None


def address_of(interface: str) -> str:
    """Return where this node is reached by the others: the address of ``interface``, or of its own name.

    Raises
    ------
    OSError
        It has no such interface, or doesn't know its own name.
    """
    if interface:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            try:
                found = fcntl.ioctl(line, 0x8915, struct.pack("256s", interface[:15].encode()))  # SIOCGIFADDR
            except OSError:
                has = ", ".join(name for _, name in socket.if_nameindex())
                raise OSError(
                    f"{socket.gethostname()} has no interface {interface!r} with an address; it has {has}"
                ) from None
        return socket.inet_ntoa(found[20:24])
    name = socket.gethostname()
    try:
        own = socket.gethostbyname(name)
    except OSError as error:
        has = ", ".join(one for _, one in socket.if_nameindex() if one != "lo")
        raise OSError(
            f"{name} doesn't find an address of its own name ({error.strerror}): set `interface` to a network by which "
            f"nodes reach each other; it has {has or 'none'}"
        ) from None
    if not own.startswith("127."):
        return own
    # Debian writes a host's own name down as 127.0.1.1. The kernel knows by which address it would go out; this sends
    # nothing.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        try:
            line.connect(("10.255.255.255", 9))
        except OSError:
            return own
        return str(line.getsockname()[0])


def within(order: dict[str, Any], now: float) -> None:
    """Hold the order's task to the time that the queue gives it: it ends before the queue would kill it."""
    walltime_s, task = order["walltime_s"], order["task"]
    if walltime_s is None:
        return
    ends_at = now + max(walltime_s - ENDS_BEFORE_S, walltime_s / 2)
    if order["ends_at"] is None or ends_at < order["ends_at"]:
        task["expires_at"] = iso(ends_at)
        task["boot"]["expires_at"] = iso(ends_at)
    if order["marks"]["role"] == "worker":
        span_s = min(LEAVES_AT_MOST_S, walltime_s * LEAVES_BEFORE)
        # Those that began together must not all leave at once.
        apart = zlib.crc32(order["order"].encode()) % 1000 / 1000
        leaves_s = ends_at - now - span_s * (1 + apart)
        task["boot"].setdefault("options", {}).setdefault("lifetime", leaves_s)


def environ_of(order: dict[str, Any]) -> dict[str, str]:
    """Return the variables of the instance: the caller's, but for those that belong to the node or to the job."""
    theirs = {
        name: value
        for name, value in order["variables"].items()
        if not name.startswith(QUEUES_OWN) and name not in NODES_OWN and not (name in JOBS_OWN and name in os.environ)
    }
    return {**os.environ, **theirs, VARIABLE: order["order"]}


def _end(run: str, words: str) -> None:
    end = {"stopped_at": iso(time.time()), "exit_code": None, "detail": words}
    write(os.path.join(run, "exit.json"), json.dumps(end))


def _run(command: list[str], environ: dict[str, str]) -> None:
    if not command:
        return
    try:
        subprocess.run(command, stdin=subprocess.DEVNULL, env=environ, timeout=RUNS_WITHIN_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.stderr.write(f"{command[0]} couldn't be run: {error}\n")


def _become(order: dict[str, Any]) -> None:
    """Turn this process into the keeper."""
    environ = environ_of(order)
    scratch = order["scratch"]
    if scratch:
        place = os.path.join(os.path.expandvars(scratch), f"tradewind-{order['order']}")
        try:
            os.makedirs(place, mode=0o700, exist_ok=True)
        except OSError as error:
            _end(os.path.join(order["root"], "runs", order["order"]), f"its scratch can't be had: {error}")
            return
        order["task"]["boot"].setdefault("options", {}).setdefault("local_directory", place)
        order["task"].setdefault("farewell", []).append([sys.executable, "-I", "-S", "-c", REMOVE, place])
    # What is asked from here on waits until the keeper listens.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    receive, send = os.pipe()
    if os.fork() == 0:
        # A writer of its own: what is longer than the pipe's buffer would wait for a reader that isn't there yet.
        os.close(receive)
        with open(send, "wb") as pipe:
            pipe.write(json.dumps(order["task"]).encode())
        os._exit(0)
    os.close(send)
    os.dup2(receive, 0)
    os.close(receive)
    title = [order["marks"][key] for key in ("role", "cluster", "instance")]
    os.execve(sys.executable, [sys.executable, "-P", "-c", order["keeper"], *title], environ)


REMOVE = "import shutil, sys; shutil.rmtree(sys.argv[1], ignore_errors=True)"
