"""Stand-ins for batch systems that no rig here runs: their commands, starting jobs on this machine at once.

They speak as the systems' documentation says (see the ``cases`` beside each provider's tests), so what is tried on them
is the whole of a provider, and not whether the documentation is right. Run as ``python pretend.py COMMAND STATE …``.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

STATE = Path(sys.argv[2]) if len(sys.argv) > 2 else Path()
CPUS, MEMORY_MIB = 16, 32_000
GRACE_S = 2.0


def jobs(state: Path | None = None) -> list[dict[str, Any]]:
    """Return each element of all that was submitted, with how it is now."""
    found = []
    for file in sorted((state or STATE).glob("*.job")):
        job = json.loads(file.read_text())
        end = file.with_suffix(".end")
        job["end"] = json.loads(end.read_text()) if end.exists() else None
        found.append(job)
    return found


def submit(
    name: str,
    mark: str,
    count: int,
    script: str,
    shell: str,
    log: str,
    variables: Sequence[str],
    first: int = 0,
) -> int:
    """Start ``count`` jobs; ``%I`` stands for the index, counted from ``first``, in the log and the variables."""
    number = len({job["number"] for job in jobs()}) + 100
    for index in range(count):
        file = STATE / f"{number}-{index}.job"
        environ = dict(one.replace("%I", str(index + first)).split("=", 1) for one in variables)
        told = {"number": number, "index": index, "name": name, "mark": mark, "count": count, "script": script}
        file.write_text(json.dumps({**told, "started": time.time()}))
        line = [
            sys.executable,
            __file__,
            "look-after",
            str(STATE),
            file.stem,
            shell,
            log.replace("%I", str(index + first)),
        ]
        subprocess.Popen(
            line,
            env={"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/"), **environ},
            start_new_session=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return number


def look_after(stem: str, shell: str, log: str) -> None:
    """Run a job to its end, or until it is told to end."""
    script = json.loads((STATE / f"{stem}.job").read_text())["script"]
    with open(log, "ab") as out:
        process = subprocess.Popen([shell, "-c", script], stdout=out, stderr=out, start_new_session=True)
    killed = 0.0
    while process.poll() is None:
        if (STATE / f"{stem}.kill").exists():
            if not killed:
                os.killpg(process.pid, signal.SIGTERM)
                killed = time.monotonic()
            elif time.monotonic() - killed > GRACE_S:
                os.killpg(process.pid, signal.SIGKILL)
        time.sleep(0.05)
    code = process.returncode if process.returncode >= 0 else 256 - process.returncode
    draft = STATE / f"{stem}.draft"
    draft.write_text(json.dumps({"at": time.time(), "code": code, "killed": bool(killed)}))
    draft.rename(STATE / f"{stem}.end")


def kill(number: str, index: str) -> None:
    if (STATE / f"{number}-{index}.job").exists():
        (STATE / f"{number}-{index}.kill").touch()


def directives(script: str, beginning: str) -> dict[str, str]:
    """Return the options of a script's directives, by their letter."""
    lines = [line.removeprefix(beginning).strip() for line in script.splitlines() if line.startswith(beginning)]
    return {line.partition(" ")[0]: line.partition(" ")[2].strip('"') for line in lines}


def clock(at: float) -> str:
    return time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(at))


# PBS


def qsub() -> None:
    script = sys.stdin.read()
    options = directives(script, "#PBS")
    if options.get("-q") == "nowhere":
        sys.exit("qsub: Unknown queue")
    count = int(options["-J"].partition("-")[2]) + 1 if "-J" in options else 1
    variables = [options["-v"], *(["PBS_ARRAY_INDEX=%I"] if count > 1 else [])]
    log = options["-o"].replace("^array_index^", "%I")
    mark = options["-v"].partition("=")[2]
    number = submit(options["-N"], mark, count, script, options["-S"], log, variables)
    say(f"{number}{'[]' if count > 1 else ''}.pretend")


def qselect() -> None:
    words = sys.argv[3:]
    name = words[words.index("-N") + 1] if "-N" in words else None
    live = [job for job in jobs() if job["end"] is None and name in {None, job["name"]}]
    for one in dict.fromkeys(f"{job['number']}{'[]' if job['count'] > 1 else ''}.pretend" for job in live):
        say(one)


def qstat() -> None:
    words = sys.argv[3:]
    if "--version" in words:
        say("pbs_version = 23.06.06")
    elif "-Q" in words:
        say("Queue: workq\n    queue_type = Execution\n    resources_max.walltime = 24:00:00")
        say("    enabled = True\n    started = True\n")
    elif "-B" in words:
        say("Server: pretend\n    default_queue = workq\n")
    else:
        wanted, found = {word.partition(".")[0] for word in words}, False
        for job in jobs():
            one = f"{job['number']}[]" if job["count"] > 1 else str(job["number"])
            if one not in wanted or (job["end"] is not None and "-x" not in words and job["count"] == 1):
                continue
            found = True
            show(job)
        if not found:
            sys.exit(153)


def show(job: dict[str, Any]) -> None:
    end = job["end"]
    index = f"[{job['index']}]" if job["count"] > 1 else ""
    say(f"Job Id: {job['number']}{index}.pretend\n    Job_Name = {job['name']}")
    say(f"    job_state = {'R' if end is None else 'X' if job['count'] > 1 else 'F'}")
    say(
        f"    stime = {clock(job['started'])}\n    Variable_List = PBS_O_HOME=/root,\n\tTW_MARK={job['mark']},PBS_O_X=1"
    )
    if end is not None:
        say(f"    obittime = {clock(end['at'])}\n    Exit_status = {end['code']}")
    say("")


def pbsnodes() -> None:
    memory = MEMORY_MIB * 1024
    say(f"n1\n     state = free\n     resources_available.ncpus = {CPUS}\n     resources_available.mem = {memory}kb\n")


def qdel() -> None:
    for word in sys.argv[3:]:
        number, index = re.match(r"(\d+)(?:\[(\d*)\])?", word).groups()  # type: ignore[union-attr]
        every = [str(job["index"]) for job in jobs() if str(job["number"]) == number]
        for one in every if index == "" else [index or "0"]:
            kill(number, one)


# LSF


def bsub() -> None:
    script = sys.stdin.read()
    options = directives(script, "#BSUB")
    if options.get("-q") == "nowhere":
        sys.exit("nowhere: No such queue. Job not submitted.")
    name, _, size = options["-J"].rstrip("]").partition("[1-")
    variables = ["LSB_JOBINDEX=%I"]
    number = submit(name, options["-Jd"], int(size), script, "/bin/sh", options["-o"], variables, first=1)
    say(f"Job <{number}> is submitted to queue <{options.get('-q', 'normal')}>.")


def bjobs() -> None:
    records = []
    for job in jobs():
        end = job["end"]
        state = "RUN" if end is None else "DONE" if end["code"] == 0 else "EXIT"
        record = {
            "JOBID": str(job["number"]),
            "JOBINDEX": str(job["index"] + 1),
            "STAT": state,
            "EXIT_CODE": str(end["code"]) if end is not None and end["code"] else "",
            "EXIT_REASON": "TERM_OWNER: job killed by owner" if end is not None and end["killed"] else "",
            "START_TIME": time.strftime("%b %d %H:%M", time.gmtime(job["started"])),
            "FINISH_TIME": time.strftime("%b %d %H:%M L", time.gmtime(end["at"])) if end is not None else "",
            "RUN_TIME": f"{int((end['at'] if end is not None else time.time()) - job['started'])} second(s)",
            "JOB_DESCRIPTION": job["mark"],
            "PEND_REASON": "",
        }
        records.append(record)
    if not records:
        sys.exit("No job found")
    say(json.dumps({"COMMAND": "bjobs", "JOBS": len(records), "RECORDS": records}))


def bkill() -> None:
    words = sys.argv[3:]
    if "-J" in words:
        for job in jobs():
            if job["name"] == words[words.index("-J") + 1]:
                kill(str(job["number"]), str(job["index"]))
        return
    for word in words:
        number, index = re.match(r"(\d+)\[(\d+)\]", word).groups()  # type: ignore[union-attr]
        kill(number, str(int(index) - 1))


def bqueues() -> None:
    say("QUEUE: normal\n  -- no description.  This is the default queue.\n\n 30   20  Open:Active\n")
    say("MAXIMUM LIMITS:\n RUNLIMIT\n 1440.0 min\n\nUSERS: all\nHOSTS:  all")


def bhosts() -> None:
    say(f"HOST_NAME STATUS JL/U MAX NJOBS RUN SSUSP USUSP RSV\nn1 ok - {CPUS} 0 0 0 0 0")


def lshosts() -> None:
    say("HOST_NAME type model cpuf ncpus maxmem maxswp server RESOURCES")
    say(f"n1 X86_64 any 1.0 {CPUS} {MEMORY_MIB}M 4G Yes ()")


# HTCondor


def condor_submit() -> None:
    lines = [line.partition(" = ") for line in sys.stdin.read().splitlines()]
    facts = {key: value for key, _, value in lines}
    count = next(int(key.split()[1]) for key in facts if key.startswith("queue "))
    inside = facts["arguments"][1:-1].replace('""', '"')
    flag, script = (one.replace("''", "'") for one in re.findall(r"'((?:[^']|'')*)'", inside))
    assert flag == "-c"
    variables = [facts["environment"].strip('"').replace("$(ProcId)", "%I")]
    log = facts["output"].replace("$(ProcId)", "%I")
    name, mark = facts["MY.JobBatchName"].strip('"'), facts["MY.TradewindMark"].strip('"')
    number = submit(name, mark, count, script, facts["executable"], log, variables)
    say(f"{number}.0 - {number}.{count - 1}")


def ads(*, over: bool, wanted: Sequence[str] = ()) -> None:
    found = []
    for job in jobs():
        end = job["end"]
        if (end is not None) is not over or (wanted and str(job["number"]) not in wanted):
            continue
        ad = {"ClusterId": job["number"], "ProcId": job["index"], "JobStatus": 2, "TradewindMark": job["mark"]}
        ad |= {"NumJobStarts": 1, "JobStartDate": int(job["started"]), "EnteredCurrentStatus": int(job["started"])}
        if end is not None:
            ad |= {"EnteredCurrentStatus": int(end["at"]), "JobStatus": 3 if end["killed"] else 4}
            ad |= {"RemoveReason": "via condor_rm (by user me)"} if end["killed"] else {"ExitCode": end["code"]}
        found.append(ad)
    if found:
        say(json.dumps(found))


def condor_rm() -> None:
    words = sys.argv[3:]
    if words[0] == "-constraint":
        name = shlex.split(words[1].partition("==")[2])[0]
        for job in jobs():
            if job["name"] == name:
                kill(str(job["number"]), str(job["index"]))
        return
    for word in words:
        kill(*word.split("."))


def condor_status() -> None:
    slot = {"Machine": "n1", "PartitionableSlot": True, "State": "Unclaimed", "Cpus": CPUS, "Memory": MEMORY_MIB}
    say(json.dumps([{**slot, "TotalSlotCpus": CPUS, "TotalSlotMemory": MEMORY_MIB}]))


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


COMMANDS = {
    "pbs": (qsub, qselect, qstat, pbsnodes, qdel),
    "lsf": (bsub, bjobs, bkill, bqueues, bhosts, lshosts),
    "htcondor": (condor_submit, condor_rm, condor_status),
}
"""By the provider."""
OTHERS = {
    "htcondor": {
        "condor_q": lambda: ads(over=False),
        "condor_history": lambda: ads(over=True, wanted=sys.argv[3:]),
        "condor_qedit": lambda: None,
        "condor_config_val": lambda: None,
    }
}


def programs(system: str) -> dict[str, Any]:
    """Return what a system's commands do, by their name."""
    return {command.__name__: command for command in COMMANDS[system]} | OTHERS.get(system, {})


def install(system: str, there: Path) -> Path:
    """Put a system's commands into a directory for a PATH, and return it."""
    state, commands = there / "state", there / "bin"
    for directory in (state, commands):
        directory.mkdir(parents=True, exist_ok=True)
    for name in programs(system):
        line = shlex.join([sys.executable, "-S", "-E", __file__, name, str(state)])
        (commands / name).write_text(f'#!/bin/sh\nexec {line} "$@"\n')
        (commands / name).chmod(0o755)
    return commands


if __name__ == "__main__":
    if sys.argv[1] == "look-after":
        look_after(*sys.argv[3:6])
    else:
        every: dict[str, Any] = {}
        for known in COMMANDS:
            every |= programs(known)
        every[sys.argv[1]]()
