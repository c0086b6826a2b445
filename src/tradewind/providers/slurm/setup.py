"""What a site under Slurm has for you."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tradewind.errors import ConfigError, Unavailable
from tradewind.providers.batch.runner import CommandRunner
from tradewind.providers.batch.setup import Finding, Survey, ask, survey_of
from tradewind.providers.slurm.queue import SlurmQueue

QUEUE = SlurmQueue()
"""What it is asked as, of which no setting is known yet."""


async def survey(runner: CommandRunner, user: str, environ: Mapping[str, str]) -> Survey:
    """Ask the site's own commands, wherever ``runner`` runs them, as ``user`` of that machine.

    Raises
    ------
    Unavailable
        Slurm doesn't answer.
    """
    site = await ask(QUEUE, runner)
    findings = findings_of(*await _associations(runner, user), await _standing(runner, user))
    return await survey_of("slurm", site, findings, runner, environ)


def findings_of(accounts: Sequence[str], qos: Sequence[str], standing: str = "") -> tuple[Finding, ...]:
    """Return what is said of the accounts that may be charged, and of one's qualities of service."""
    found = []
    if accounts:
        words = f"You may charge: {', '.join(accounts)}." + (f" Now {standing}." if standing else "")
        found.append(
            Finding(key="account", words=words, value=accounts[0], is_sure=len(accounts) == 1, is_personal=True)
        )
    if len(qos) > 1:
        words = f"Your qualities of service: {', '.join(qos)}."
        found.append(Finding(key="qos", words=words, value=qos[0], is_sure=False, is_personal=True))
    return tuple(found)


async def _associations(runner: CommandRunner, user: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    command = ["sacctmgr", "--noheader", "--parsable2", "show", "assoc", f"user={user}", "format=account,qos"]
    try:
        said = await runner.run(command)
    except (Unavailable, ConfigError):
        return (), ()  # a site without accounting has no accounts
    return read_associations(said.out) if not said.code else ((), ())


async def _standing(runner: CommandRunner, user: str) -> str:
    try:
        said = await runner.run(QUEUE.standing_command(user) or [])
    except (Unavailable, ConfigError):
        return ""
    return QUEUE.read_standing(said.out) if not said.code else ""


def read_associations(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return accounts and QoS, each once and in their order, from ``sacctmgr show assoc``."""
    rows = [line.split("|") for line in text.splitlines() if line.count("|") == 1]
    accounts = dict.fromkeys(account for account, _ in rows if account)
    qos = dict.fromkeys(name for _, names in rows for name in names.split(",") if name)
    return tuple(accounts), tuple(qos)
