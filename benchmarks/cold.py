"""From a cold command line to a server's answer: signing in, listing, creating; each a process of its own, in turns.

A server runs on this machine for the whole time, with TLS, on a file or on ``--store postgresql://…``.

``python benchmarks/cold.py --pairs 11 --json cold.json``
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter, sleep

from pairs import machine

ROOT = Path(__file__).resolve().parents[1]
MAIN = "from tradewind.cli import main; main(prog_name='tradewind')"
BUDGET_S = 0.6
COMMANDS = {
    "login, with a token": ("login", "--token"),
    "cluster list": ("cluster", "list"),
    "cluster create": ("cluster", "create", "--provider", "fake", "-n", "0"),
    "nothing but Python": None,
}


def timed(words: tuple[str, ...] | None, environ: dict[str, str], given: str) -> tuple[float, float]:
    """Return seconds on the clock and of processor time that one command takes."""
    code = [sys.executable, "-c", MAIN, *words] if words is not None else [sys.executable, "-c", "pass"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = perf_counter()
    subprocess.run(code, env=environ, input=given, text=True, check=True, capture_output=True)
    took = perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_token(server: Path, environ: dict[str, str], welcome: str) -> str:
    """Become the server's first user by the link it printed, and return a token."""
    fingerprint = next(line.split()[1] for line in (server / "out").read_text().splitlines() if "certificate" in line)
    words = ("accept", welcome, "--name", "ada", "--fingerprint", fingerprint)
    subprocess.run([sys.executable, "-c", MAIN, *words], env=environ, check=True, capture_output=True)
    words = ("token", "create", "benchmark")
    made = subprocess.run([sys.executable, "-c", MAIN, *words], env=environ, check=True, capture_output=True, text=True)
    return made.stdout.strip()


def main() -> None:
    """Start a server, take turns, report."""
    parser = argparse.ArgumentParser(description="Seconds of cold commands against a server.")
    parser.add_argument("--pairs", type=int, default=11, help="how often each command is run (default 11)")
    parser.add_argument("--store", help="the server's store; default a file")
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    where = machine()
    with tempfile.TemporaryDirectory(prefix="tradewind-cold-") as directory:
        server, client = Path(directory, "server"), Path(directory, "client")
        server.mkdir()
        client.mkdir()
        plain = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        served = {**plain, "TRADEWIND_DATA_DIR": str(server), "TRADEWIND_CONFIG_DIR": str(server)}
        asked = {**plain, "TRADEWIND_DATA_DIR": str(client), "TRADEWIND_CONFIG_DIR": str(client)}
        store = ("--store", options.store) if options.store else ()
        with (server / "out").open("w") as out, (server / "log").open("w") as log:
            words = [sys.executable, "-c", MAIN, "serve", "--port", "0", *store]
            process = subprocess.Popen(words, env=served, stdout=out, stderr=log)
        try:
            while "/welcome#" not in (server / "out").read_text():
                if process.poll() is not None:
                    raise RuntimeError((server / "log").read_text())
                sleep(0.1)
            token = first_token(server, asked, (server / "out").read_text().split()[-1])
            taken: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
            for _ in range(options.pairs):
                for name, command in COMMANDS.items():
                    taken[name].append(timed(command, asked, f"{token}\n"))
            lives = subprocess.run(
                [sys.executable, "-c", MAIN, "cluster", "list", "--json"], env=asked, check=True, capture_output=True
            )
            names = [one["name"] for one in json.loads(lives.stdout)]
            subprocess.run(
                [sys.executable, "-c", MAIN, "cluster", "stop", "-y", *names],
                env=asked,
                check=True,
                capture_output=True,
            )
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    print(f"\n{where}\n\n| command | median | quartiles | processor | under {BUDGET_S} s |\n|---|--:|--:|--:|--:|")
    figures = {}
    for name, pairs in taken.items():
        seconds = sorted(took for took, _ in pairs)
        low, middle, high = statistics.quantiles(seconds, n=4)
        cpu = statistics.median(used for _, used in pairs)
        within = sum(took < BUDGET_S for took in seconds)
        print(f"| {name} | {middle:.2f} s | {low:.2f} to {high:.2f} | {cpu:.2f} s | {within} of {len(seconds)} |")
        figures[name] = {"seconds": seconds, "processor": cpu}
    if options.json:
        options.json.write_text(json.dumps({"machine": where, "figures": figures}, indent=1))


if __name__ == "__main__":
    main()
