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


class LazyGroup(click.Group):
    """
    A group whose commands are imported when they are called, so that help is instant.

    `package` has a module for each of `commands`; of a mapping help shows the values, else the docstrings. A group
    in it is a package whose docstring is its help, with `COMMANDS`. Those of a later release are in `later` or `LATER`.
    """

    def __init__(
        self,
        name: str,
        *,
        package: str,
        commands: Mapping[str, str] | Collection[str],
        later: Collection[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(name, **kwargs)
        self._package = package
        self._names = commands
        self._later = later

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names, in the order in which they are given."""
        return [*self._names]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; raises UsageError for one of a later release."""
        if cmd_name in self._later:
            raise not_yet(f"{ctx.command_path} {cmd_name}")
        if cmd_name not in self._names:
            return None
        module = import_module(f"{self._package}.{cmd_name.replace('-', '_')}")
        if commands := getattr(module, "COMMANDS", None):
            return LazyGroup(
                cmd_name, package=module.__name__, commands=commands,
                later=getattr(module, "LATER", ()), help=module.__doc__,
            )  # fmt: skip
        found = (each for each in vars(module).values() if isinstance(each, click.Command))
        return next(each for each in found if each.name == cmd_name)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with their help lines; those that have one here are not imported."""
        if not isinstance(self._names, Mapping):
            super().format_commands(ctx, formatter)
            return
        with formatter.section("Commands"):
            formatter.write_dl(list(self._names.items()))
