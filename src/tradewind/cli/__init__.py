"""The commands of a terminal: noun, then verb."""

from __future__ import annotations

import click

from tradewind import __version__
from tradewind.cli.lazy import LazyGroup

__all__ = ["main"]

COMMANDS = {
    "cluster": ("tradewind.cli.cluster:cluster", "What runs and what ran: list, show, create, logs, stop."),
    "usage": ("tradewind.cli.usage:usage", "What was used and what it cost."),
    "export": ("tradewind.cli.export:export", "Everything of your workspace, in open formats."),
    "budget": ("tradewind.cli.budget:budget", "Limits on what is spent: set, show, remove."),
    "webhook": ("tradewind.cli.webhook:webhook", "Programs that are told of budgets: list, add, remove."),
    "computation": ("tradewind.cli.computation:computation", "What was computed, where the time went, what failed."),
    "env": (
        "tradewind.cli.env:env",
        "The software that clusters run: show, diff, why, and named ones: create, list, delete.",
    ),
    "advise": ("tradewind.cli.advise:advise_", "Which infrastructure fits your group, this one or another, and why."),
    "estimate": (
        "tradewind.cli.estimate:estimate",
        "What a group's computing would cost in a month, each way to run it.",
    ),
    "partner": ("tradewind.cli.partner:partner", "What is known of each infrastructure: list, show, compare, lint."),
    "review": ("tradewind.cli.review:review", "What people who used a partner say of it: list, write, answer, …."),
    "freedom": ("tradewind.cli.freedom:freedom", "How free a project is to leave, line by line; what a move changes."),
    "setup": ("tradewind.cli.setup:setup", "Settings for an infrastructure, found by asking it."),
    "doctor": ("tradewind.cli.doctor:doctor", "Check this machine, the store and each provider."),
    "login": ("tradewind.cli.login:login", "Sign in to a server; clusters and commands are then asked of it."),
    "logout": ("tradewind.cli.login:logout", "Sign out of it."),
    "accept": ("tradewind.cli.accept:accept", "Take an invitation, or the link of a server's first user."),
    "workspace": ("tradewind.cli.workspace:workspace", "Your workspaces, and the one where clusters go."),
    "member": ("tradewind.cli.member:member", "Who is in a workspace: list, set, remove."),
    "invitation": ("tradewind.cli.member:invitation", "Invite people to a workspace: create, list, revoke."),
    "token": ("tradewind.cli.token:token", "What stands for you in programs: create, list, revoke."),
    "audit": ("tradewind.cli.token:audit", "Who changed what in a workspace."),
    "serve": ("tradewind.cli.serve:serve", "Look after the clusters of a group: the shared server."),
    "store": ("tradewind.cli.store:store", "The database that keeps it all: check, backup, restore."),
    "demo": ("tradewind.cli.demo:demo", "Compute a climate trend map of real data on a cluster."),
    "completion": ("tradewind.cli.completion:completion", "Print the script that completes commands in your shell."),
}
"""Where each command lives, and its line in the list: a list that had to import them all would take a second."""

main = LazyGroup(
    name="tradewind",
    table=COMMANDS,
    help="Ephemeral Dask clusters that are metered, recorded and end by themselves.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrongly called. Every reading command takes --json.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
click.version_option(__version__, prog_name="tradewind", message="%(prog)s %(version)s")(main)
