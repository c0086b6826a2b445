"""Seconds to say what is installed: pip's kind of environment and conda's, each in new processes, in turns.

``python benchmarks/capture.py --packages 300 --runs 9 --json capture.json``
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from pairs import machine

BUDGET_S = 1.0
ONE = """
import sys, time
import tradewind
tradewind.Cluster  # what a program has imported by then
began = time.perf_counter()
from tradewind.boot.environment.capture import capture
from pathlib import Path
site, prefix = sys.argv[1:3]
found = capture(path=[site], prefix=prefix, environ={}, working_directory=Path(prefix))
print(time.perf_counter() - began, len(found.packages))
"""
FILES = 400
"""Of one conda package: what numpy has is 1300, most have a dozen."""


def of_pip(prefix: Path, packages: int) -> Path:
    """Write distributions as pip does, one in ten from a commit, and return where they are."""
    site = prefix / "lib" / "python3.11" / "site-packages"
    for number in range(packages):
        info = site / f"package_{number}-1.{number}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Name: package-{number}\nVersion: 1.{number}\n" + "Text\n" * 500)
        (info / "RECORD").write_text("".join(f"package_{number}/file{at}.py,,\n" for at in range(100)))
        (info / "INSTALLER").write_text("pip\n")
        (info / "REQUESTED").touch()
        if number % 10 == 0:
            origin = {"url": f"https://host/{number}", "vcs_info": {"vcs": "git", "commit_id": "f00d" * 10}}
            (info / "direct_url.json").write_text(json.dumps(origin))
    return site


def of_conda(prefix: Path, packages: int) -> Path:
    """Write distributions and records as conda does, and return where they are."""
    site = of_pip(prefix, packages)
    (prefix / "conda-meta").mkdir()
    for number in range(packages):
        files = [f"lib/python3.11/site-packages/package_{number}/file{at}.py" for at in range(FILES)]
        files.append(f"lib/python3.11/site-packages/package_{number}-1.{number}.dist-info/METADATA")
        paths = [{"_path": file, "path_type": "hardlink", "sha256": "0" * 64, "size_in_bytes": 1} for file in files]
        record = {
            "build": "py311_0",
            "channel": "https://conda.example.org/forge/linux-64",
            "files": files,
            "name": f"package-{number}",
            "paths_data": {"paths": paths, "paths_version": 1},
            "subdir": "linux-64",
            "url": f"https://conda.example.org/forge/linux-64/package-{number}-1.{number}-py311_0.conda",
            "version": f"1.{number}",
        }
        (prefix / "conda-meta" / f"package-{number}-1-py311_0.json").write_text(json.dumps(record, indent=2))
    return site


def main() -> None:
    """Write the environments, take turns, report."""
    parser = argparse.ArgumentParser(description="Seconds to capture an environment.")
    parser.add_argument("--packages", type=int, default=300, help="how many are installed (default 300)")
    parser.add_argument("--runs", type=int, default=9, help="how often each is captured (default 9)")
    parser.add_argument("--json", type=Path, help="write the figures there")
    given = parser.parse_args()

    with tempfile.TemporaryDirectory() as directory:
        places = {}
        for kind, write in (("pip", of_pip), ("conda", of_conda)):
            prefix = Path(directory) / kind
            places[kind] = (str(write(prefix, given.packages)), str(prefix))
        seconds: dict[str, list[float]] = {kind: [] for kind in places}
        for _ in range(given.runs):
            for kind, place in places.items():
                command = [sys.executable, "-c", ONE, *place]
                done = subprocess.run(command, check=True, capture_output=True, text=True, env=dict(os.environ))
                took, count = done.stdout.split()
                assert int(count) == given.packages, done.stdout
                seconds[kind].append(float(took))

    figures = {kind: statistics.median(took) for kind, took in seconds.items()}
    for kind, median in figures.items():
        print(f"{kind:>6}: {median * 1000:7.1f} ms, at most {max(seconds[kind]) * 1000:.1f} ms, of {given.runs} runs")
    if given.json is not None:
        given.json.write_text(
            json.dumps({"machine": machine(), "packages": given.packages, "seconds": seconds}, indent=2)
        )
    sys.exit(0 if max(figures.values()) < BUDGET_S else 1)


if __name__ == "__main__":
    main()
