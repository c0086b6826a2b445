"""``tradewind completion``: the script that completes commands in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_TRADEWIND_COMPLETE"
"""By which the script asks this program; click derives it from the program's name."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script for SHELL.

    For bash, put this into ~/.bashrc, and for zsh, with zsh instead, into ~/.zshrc:

    eval "$(tradewind completion bash)"

    For fish: tradewind completion fish > ~/.config/fish/completions/tradewind.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "tradewind", VARIABLE).source())
