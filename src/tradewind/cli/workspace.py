"""``tradewind workspace``: who shares and pays, and which one is in use."""

from __future__ import annotations

from dataclasses import replace

import click
from rich.text import Text

from tradewind import wire
from tradewind.cli.signed_in import people, workspace_option
from tradewind.cli.terminal import comma, json_option, open_console, print_json
from tradewind.client.door import find_place
from tradewind.client.remote.credentials import load_credentials, save_credentials
from tradewind.client.tables import QUIET, local_text, plain_table
from tradewind.errors import NotFound


@click.group()
def workspace() -> None:
    """Show workspaces, and choose where clusters go."""


@workspace.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the workspaces you are in; the one in use is marked."""
    with people() as (asked, current):
        me = asked.me()
        titles = {one.name: one.title for one in asked.workspaces()}
    if as_json:
        print_json([wire.dump(member) for member in me.memberships])
        return
    console = open_console()
    if not me.memberships:
        console.print("You are in no workspace yet: open the link of an invitation, or `tradewind accept` it.")
        return
    table = plain_table()
    for title in ("", "name", "you are", "since", "title"):
        table.add_column(title)
    for member in me.memberships:
        used = member.workspace == current
        table.add_row(
            Text("→" if used else ""),
            Text(member.workspace, style="bold" if used else ""),
            Text(member.role.value),
            local_text(member.joined_at, "%Y-%m-%d"),
            Text(titles.get(member.workspace, ""), style=QUIET),
        )
    console.print(table)


@workspace.command()
@click.argument("name", required=False)
@json_option
def show(name: str | None, as_json: bool) -> None:
    """Show a workspace, by default the one in use, and who is in it."""
    with people(name) as (asked, meant):
        members = asked.members(meant)
    if as_json:
        print_json({"name": meant, "members": [wire.dump(member) for member in members]})
        return
    console = open_console()
    console.print(Text(meant, style="bold"))
    for role in dict.fromkeys(member.role for member in members):
        there = comma(sorted(member.user for member in members if member.role is role))
        console.print(Text.assemble((f"{role.value:8}", QUIET), there))


@workspace.command()
@click.argument("name")
@click.option("--title", default="", help="For people: its full name.")
@click.option("--use", "used", is_flag=True, help="Make it the one in use.")
@json_option
def create(name: str, title: str, used: bool, as_json: bool) -> None:
    """Make a workspace, which you will own."""
    with people() as (asked, _):
        made = asked.create_workspace(name, title)
    if as_json:
        print_json(wire.dump(made))
    else:
        click.echo(f"Workspace {wire.printable(made.name)} is there, and you own it.")
    if used:
        _use(made.name)


@workspace.command()
@click.argument("name")
def use(name: str) -> None:
    """Let clusters and commands go to a workspace when they don't say."""
    with people() as (asked, _):
        there = [member.workspace for member in asked.me().memberships]
    if name not in there:
        raise NotFound(f"you are in no workspace {name!r}; yours are: {comma(there) or 'none'}.")
    _use(name)


@workspace.command()
@click.argument("answer", type=click.Choice(["yes", "no"]))
@workspace_option
def mentoring(answer: str, workspace: str | None) -> None:
    """Agree that mentors of a workspace read everything of yours there, to help you; or take that back."""
    with people(workspace) as (asked, meant):
        asked.agree_to_mentoring(meant, answer == "yes")
    click.echo(f"Mentors of {meant} may {'now' if answer == 'yes' else 'no longer'} read everything of yours there.")


def _use(name: str) -> None:
    place = find_place()
    assert place.server is not None  # or nobody would have answered
    credentials = load_credentials()
    entry = replace(credentials.of(place.server), workspace=name)
    save_credentials(credentials.with_login(place.server, entry))
    click.echo(f"Clusters and commands go to workspace {name} now.", err=True)
    meant = find_place().settings.workspace
    if meant != name:
        click.echo(f"But the settings name workspace {meant}, and they go first: take that out of them.", err=True)
