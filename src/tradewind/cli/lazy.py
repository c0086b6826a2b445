"""A group of commands that imports a command when it is called, not when it is listed."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import click

from tradewind.errors import TradewindError


class LazyCommands(MutableMapping[str, click.Command]):
    """Commands by name, each imported on first use."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self._places = dict(places)
        self._imported: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        """Return the command, imported now if it wasn't yet."""
        if name not in self._imported:
            module, _, attribute = self._places[name].partition(":")
            self._imported[name] = getattr(importlib.import_module(module), attribute)
        return self._imported[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        """Add a command that is imported already."""
        self._places[name] = ""
        self._imported[name] = command

    def __delitem__(self, name: str) -> None:
        """Forget a command."""
        del self._places[name]
        self._imported.pop(name, None)

    def __contains__(self, name: object) -> bool:
        """Whether there is one of this name; imports nothing."""
        return name in self._places

    def __iter__(self) -> Iterator[str]:
        """Return the names; imports nothing."""
        return iter(self._places)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._places)


class LazyGroup(click.Group):
    """The root of all commands: lists them from a table, and turns our errors into one line."""

    def __init__(self, *, table: Mapping[str, tuple[str, str]], **attributes: Any) -> None:
        """Build it.

        Parameters
        ----------
        table : mapping
            From a command's name to where it lives, ``module:attribute``, and its line in the list.
        **attributes
            As for :class:`click.Group`.
        """
        super().__init__(**attributes)
        self._lines = {name: line for name, (_, line) in table.items()}
        self.commands = LazyCommands({name: place for name, (place, _) in table.items()})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table: the most used first."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._lines.items()))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is called; names the nearest where there is none."""
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            near = difflib.get_close_matches(args[0], list(self.commands), n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(self.commands)}."
            ctx.fail(f"there is no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. What we raise on purpose is for the user to read; any other error keeps its traceback."""
        try:
            return super().invoke(ctx)
        except TradewindError as error:
            raise click.ClickException(str(error)) from error
