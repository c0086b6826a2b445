"""``tradewind member`` and ``invitation``: who is in a workspace, and how they come to be."""

from __future__ import annotations

import click
from rich.text import Text

from tradewind import wire
from tradewind.cli.signed_in import people, workspace_option
from tradewind.cli.terminal import json_option, now, open_console, print_json
from tradewind.client.tables import QUIET, local_text, plain_table
from tradewind.model.people import MemberRole

ROLES = click.Choice([role.value for role in MemberRole])


@click.group()
def member() -> None:
    """Show and change who is in a workspace."""


@member.command("list")
@workspace_option
@json_option
def list_members(workspace: str | None, as_json: bool) -> None:
    """List who is in a workspace, and what they are."""
    with people(workspace) as (asked, meant):
        members = asked.members(meant)
    if as_json:
        print_json([wire.dump(one) for one in members])
        return
    table = plain_table()
    for title in ("user", "role", "since", "mentors may read"):
        table.add_column(title)
    for one in members:
        agreed = "yes" if one.agreed_to_mentoring else ""
        table.add_row(Text(one.user), one.role.value, local_text(one.joined_at, "%Y-%m-%d"), agreed)
    open_console().print(table)


@member.command("set")
@click.argument("user")
@click.argument("role", type=ROLES)
@workspace_option
def set_role(user: str, role: str, workspace: str | None) -> None:
    """Make USER an owner, admin, member, viewer or mentor."""
    with people(workspace) as (asked, meant):
        asked.set_role(meant, user, MemberRole(role))
    click.echo(f"{user} is {role} of {meant} now.")


@member.command()
@click.argument("user")
@workspace_option
@click.option("--yes", "-y", is_flag=True, help="Don't ask.")
def remove(user: str, workspace: str | None, yes: bool) -> None:
    """Take USER out of a workspace."""
    with people(workspace) as (asked, meant):
        if not yes:
            click.confirm(f"Take {user} out of {meant}?", abort=True)
        asked.remove_member(meant, user)
    click.echo(f"{user} is no longer in {meant}.")


@click.group()
def invitation() -> None:
    """Invite people to a workspace by a link."""


@invitation.command()
@click.argument("email", required=False)
@click.option("--role", type=ROLES, default="member", show_default=True, help="What they will be.")
@workspace_option
@json_option
def create(email: str | None, role: str, workspace: str | None, as_json: bool) -> None:
    """Print a link that makes one person a member, once. EMAIL is a note for whom it is; nothing is sent."""
    with people(workspace) as (asked, meant):
        made = asked.invite(meant, MemberRole(role), email)
    if as_json:
        print_json(wire.dump(made))
        return
    click.echo(wire.printable(made.url))
    whom = wire.printable(email) if email else "whoever opens it"
    until = local_text(made.invitation.expires_at)
    click.echo(f"It makes {whom} {role} of {meant}, once, until {until}. It isn't shown again.", err=True)


@invitation.command("list")
@workspace_option
@json_option
def list_invitations(workspace: str | None, as_json: bool) -> None:
    """List invitations; their links are known to those who got them alone."""
    with people(workspace) as (asked, meant):
        invitations = asked.invitations(meant)
    if as_json:
        print_json([wire.dump(one) for one in invitations])
        return
    console = open_console()
    if not invitations:
        console.print(f"Nobody is invited to {meant}.")
        return
    table = plain_table()
    for title in ("id", "role", "for", "by", "until", "state"):
        table.add_column(title)
    for one in invitations:
        state = f"used by {one.used_by}" if one.used_at else "expired" if one.expires_at < now() else "open"
        style = "" if state == "open" else QUIET
        texts = (one.id, one.role.value, one.email or "", one.invited_by, local_text(one.expires_at), state)
        table.add_row(*(Text(text, style=style) for text in texts))
    console.print(table)


@invitation.command("revoke")
@click.argument("invitation_id", metavar="ID")
@workspace_option
def revoke_invitation(invitation_id: str, workspace: str | None) -> None:
    """Make an invitation's link lead nowhere."""
    with people(workspace) as (asked, meant):
        asked.revoke_invitation(meant, invitation_id)
    click.echo(f"Invitation {invitation_id} is revoked.")
