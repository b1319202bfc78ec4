"""`mahavishnu`: the groups, loaded when they are called, and the one place where errors end."""

import os
import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from mahavishnu import __version__
from mahavishnu.errors import MahavishnuError, UsageError
from mahavishnu.logs import get_logger

EXIT_INTERRUPTED = 130
_log = get_logger(__name__)


class LazyGroup(click.Group):
    """A group whose commands are imported when they are needed, so that help is instant."""

    def __init__(
        self, *args: Any, modules: Mapping[str, tuple[str, str]] | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._modules = dict(modules or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order of the table."""
        return [*self._modules, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command."""
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        module, _ = self._modules[cmd_name]
        command: click.Command = getattr(import_module(module), cmd_name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands with their help lines without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self._modules.items()])


@click.group(
    cls=LazyGroup,
    modules={
        "memory": ("mahavishnu.cli.memory", "Store, search, correct and forget memories."),
        "db": ("mahavishnu.cli.database", "Set up, upgrade and inspect the database."),
        "model": ("mahavishnu.cli.model", "Manage the embedding model."),
        "config": ("mahavishnu.cli.config", "Show and check the settings."),
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="mahavishnu")
def cli() -> None:
    """One place for a developer's AI tools: memory that is kept, found and yours."""


def main() -> None:
    """Run the command line and leave with the exit code of what happened."""
    if sys.platform == "win32":
        fail(
            MahavishnuError(
                "Mahavishnu does not run on native Windows.",
                hint="Use the Windows Subsystem for Linux.",
                code="platform.unsupported",
            ),
            as_json=False,
        )
    as_json = "--json" in sys.argv
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        hint = f"See: {error.ctx.command_path} --help" if getattr(error, "ctx", None) else None  # type: ignore[attr-defined]
        fail(UsageError(error.format_message(), hint=hint), as_json=as_json)
    except MahavishnuError as error:
        _log.debug("command_failed", code=error.code, exc_info=True)
        fail(error, as_json=as_json)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone (`| head`): nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception:  # noqa: BLE001 - the root: nothing above could report it
        _log.error("internal_error", exc_info=True)
        fail(
            MahavishnuError(
                "Something went wrong that should not have.",
                hint="The traceback above belongs into a bug report.",
            ),
            as_json=as_json,
        )


def fail(error: MahavishnuError, *, as_json: bool) -> None:
    """Write an error to stderr, as JSON where that was asked for, and leave with its exit code."""
    if as_json:
        import json  # noqa: PLC0415 - cold path

        body = {"error": {"code": error.code, "message": error.message, "hint": error.hint}}
        sys.stderr.write(json.dumps(body) + "\n")
    else:
        sys.stderr.write(f"Error: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"Hint: {error.hint}\n")
    sys.exit(error.exit_code)
