"""Groups whose commands are imported when they are called."""

from collections.abc import Collection, Mapping
from importlib import import_module
from typing import Any

import click

from mahavishnu.base.errors import UsageError


def not_yet(what: str) -> UsageError:
    """Return the error for a command that a later release has."""
    return UsageError(
        f"`{what}` is not in this release.",
        hint="What is there: mahavishnu --help",
        code="cli.not_yet",
    )


class LaterGroup(click.Group):
    """A group that answers the commands of a later release, those in `later`, by `not_yet`."""

    def __init__(self, *args: Any, later: Collection[str] = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._later = frozenset(later)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command; raises UsageError for one of a later release."""
        if cmd_name in self._later:
            raise not_yet(f"{ctx.command_path} {cmd_name}")
        return super().get_command(ctx, cmd_name)


class LazyGroup(LaterGroup):
    """
    A group whose commands are imported when they are called; `package` has a module for each, of the same name.

    With `summaries`, a line of help for each, help is instant too. For `names` it imports the commands.
    """

    def __init__(
        self,
        *args: Any,
        package: str,
        names: Collection[str] = (),
        summaries: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._package = package
        self._names = summaries or names
        self._summaries = summaries

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order in which they are given."""
        return [*self._names, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in self._names:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"{self._package}.{cmd_name.replace('-', '_')}")
        found = (each for each in vars(module).values() if isinstance(each, click.Command))
        return next(each for each in found if each.name == cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with their help lines; those that have summaries are not imported."""
        if self._summaries is None:
            super().format_commands(ctx, formatter)
            return
        with formatter.section("Commands"):
            formatter.write_dl(list(self._summaries.items()))
