"""Slurm's reasons and states, in plain words."""

from __future__ import annotations

import re
from collections.abc import Mapping

from tradewind.providers.batch.sight import BY_ITSELF

WAITS: Mapping[str, str] = {
    "None": "Slurm hasn't looked at it yet",
    "Priority": "jobs of others with a higher priority go first",
    "Resources": "all nodes that fit are taken; it is the next one",
    "Dependency": "it waits until the cluster's scheduler has started",
    "DependencyNeverSatisfied": "the job that it waits for will never start",
    "BeginTime": "it was told to begin later",
    "JobArrayTaskLimit": "as many of these as may run at a time do",
    "JobHeldUser": "it is held: release it with `scontrol release`",
    "JobHeldAdmin": "an administrator holds it",
    "PartitionDown": "its partition takes no jobs at the moment",
    "PartitionInactive": "its partition starts no jobs at the moment",
    "PartitionNodeLimit": "it asks for more nodes than its partition allows",
    "PartitionTimeLimit": "its walltime is longer than its partition allows",
    "PartitionConfig": "its partition doesn't allow what it asks for",
    "ReqNodeNotAvail": "the nodes that it needs are down, drained or reserved, often for maintenance",
    "Reservation": "it waits for its reservation",
    "Licenses": "it waits for a licence",
    "Nodes_required_for_job_are_DOWN,_DRAINED_or_reserved": "all nodes that fit are down, drained or reserved",
    "InvalidAccount": "Slurm doesn't know the account",
    "AccountNotAllowed": "its partition or QoS doesn't take jobs of the account",
    "QOSNotAllowed": "its partition or account doesn't take jobs of the QoS",
    "InvalidQOS": "Slurm doesn't know the QoS, or your account may not use it",
    "BadConstraints": "no node has what its constraint asks for",
    "MaxMemPerLimit": "it asks for more memory than is allowed",
    "NodeDown": "a node that it needs is down",
    "Prolog": "its node is being made ready",
    "Cleaning": "it is being cleaned up",
}
LIMITS: Mapping[str, str] = {
    "BillingMinutes": "what is left of the allocation isn't enough for it",
    "BillingRunMinutes": "what runs already has claimed what is left of the allocation",
    "CPUMinutesLimit": "what is left of the allocation isn't enough for it",
    "CpuLimit": "as many cores as are allowed are in use",
    "CPU": "as many cores as are allowed are in use",
    "MemLimit": "as much memory as is allowed is in use",
    "MemoryLimit": "as much memory as is allowed is in use",
    "GRES": "as many GPUs as are allowed are in use",
    "NodeLimit": "as many nodes as are allowed are in use",
    "Node": "as many nodes as are allowed are in use",
    "JobsLimit": "as many jobs as are allowed run already",
    "JobsPerUser": "as many jobs as are allowed run already",
    "SubmitJobs": "as many jobs as are allowed wait already",
    "Billing": "the limit of service units is reached",
}
"""By a part of a reason that begins with Assoc, QOS or MaxGRES: whose limit it is, its beginning says."""

NEVER = frozenset(
    {
        "PartitionTimeLimit",
        "PartitionNodeLimit",
        "PartitionConfig",
        "InvalidAccount",
        "InvalidQOS",
        "AccountNotAllowed",
        "QOSNotAllowed",
        "BadConstraints",
        "MaxMemPerLimit",
        "DependencyNeverSatisfied",
        "AssocGrpBillingMinutes",
        "AssocGrpCPUMinutesLimit",
        "QOSGrpBillingMinutes",
        "QOSGrpCPUMinutesLimit",
        "QOSMinCpuNotSatisfied",
        "QOSMinMemory",
        "QOSMinGRES",
    }
)
"""What passes by no waiting, or by an administrator alone: nobody is to wait for it in silence."""
OF_ONE_JOB = re.compile(r"^(Assoc|QOS)?Max(.+?)(RunMinutes|Minutes|Mins)?Per(Job|Node)(Limit)?$")
"""A limit on what one job may ask for: no end of another job makes room for it."""
THINGS: Mapping[str, str] = {
    "Billing": "service units",
    "BB": "burst buffer",
    "Cpu": "cores",
    "CPU": "cores",
    "Energy": "energy",
    "GRES": "GPUs",
    "License": "licences",
    "Mem": "memory",
    "Memory": "memory",
    "Node": "nodes",
    "WallDuration": "time",
}
"""By what stands between Max and Per."""

ENDS: Mapping[str, str] = {
    "BOOT_FAIL": "its node couldn't be started",
    "CANCELLED": "was cancelled",
    "COMPLETED": BY_ITSELF,
    "DEADLINE": "it could no longer start in time, so Slurm dropped it",
    "FAILED": "failed; its log says more",
    "NODE_FAIL": "its node failed",
    "OUT_OF_MEMORY": "used more memory than it had asked for, and was killed",
    "PREEMPTED": "had to make room for a job of a higher priority",
    "REVOKED": "was taken over by another cluster",
    "TIMEOUT": "its walltime was over",
}


def waiting(reason: str) -> str:
    """Return why a job waits, in plain words with Slurm's own behind."""
    plain = WAITS.get(reason) or _too_much(reason) or _limit(reason)
    if reason in {"None", ""}:
        return WAITS["None"]
    return f"{plain} (Slurm: {reason})" if plain else f"Slurm says {reason}"


def is_hopeless(reason: str) -> bool:
    """Return whether a job that waits for this waits for ever."""
    return reason in NEVER or bool(OF_ONE_JOB.match(reason))


def ended(state: str, reason: str) -> str:
    """Return how a job ended, in plain words."""
    plain = ENDS.get(state, f"Slurm says {state}")
    return f"{plain} (Slurm: {reason})" if reason not in {"", "None"} and state != "COMPLETED" else plain


def _too_much(reason: str) -> str:
    """Return in words that one job asks for more than one may."""
    found = OF_ONE_JOB.match(reason)
    if found is None:
        return ""
    what = THINGS.get(found[2], found[2])
    if found[3]:
        what = f"{what} for all of its walltime"
    by = f", by the limits of {whose}" if (whose := _whose(reason)) else ""
    if what == "time":
        return (
            f"its walltime is longer than one job may have{by}: set a shorter `walltime`, or `scheduler_walltime` "
            "where it is the scheduler"
        )
    return f"it asks for more {what} than one job may have{' of one node' if found[4] == 'Node' else ''}{by}"


def _whose(reason: str) -> str:
    return "your account" if reason.startswith("Assoc") else "the QoS" if reason.startswith("QOS") else ""


def _limit(reason: str) -> str:
    whose = _whose(reason)
    if not whose:
        return ""
    # The longest part that fits says the most.
    found = max((part for part in LIMITS if part in reason), key=len, default=None)
    return f"{LIMITS[found]}, by the limits of {whose}" if found else f"a limit of {whose} is reached"
