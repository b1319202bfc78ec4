"""`mahavishnu`: the groups, loaded when they are called, and the one place where errors end."""

import itertools
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from mahavishnu import __version__
from mahavishnu.base.errors import MahavishnuError, UsageError
from mahavishnu.base.logs import get_logger
from mahavishnu.interfaces.cli.lazy import LazyGroup
from mahavishnu.interfaces.cli.streams import ReaderGone, take_streams

EXIT_INTERRUPTED = 130
_log = get_logger(__name__)


@click.group(
    cls=LazyGroup,
    package=__package__,
    commands={
        "ai": "Switch and protect Claude Code, Codex and Qwen Code.",
        "memory": "Store, search, correct and forget memories.",
        "repo": "Ingest repositories, and ask their code and documents.",
        "project": "Say which project a checkout belongs to.",
        "session": "Record conversations; list, show and search them.",
        "workflow": "Record and find runs of workflows.",
        "insight": "List, share and count what was learnt.",
        "checkpoint": "Keep where the work in a folder stands.",
        "quality": "Show the quality of a folder.",
        "metrics": "Record measurements of components.",
        "sync": "See and run what follows your memories.",
        "up": "Start the daemon that all terminals share.",
        "down": "Stop the daemon.",
        "status": "Show whether the daemon runs, and its state.",
        "health": "Show how every component is; with an exit code for scripts.",
        "events": "Show what was done automatically.",
        "pause": "Let automatic acts rest.",
        "resume": "Let automatic acts go on.",
        "alert": "Messages about what was done automatically.",
        "mcp": "Memory for AI clients: serve, check, connect.",
        "api": "Describe the daemon's HTTP API.",
        "token": "The daemon's bearer token.",
        "spool": "Writes that wait until PostgreSQL can be reached.",
        "db": "Set up, upgrade and inspect the database.",
        "backup": "Make, prove and restore backups.",
        "model": "Manage the embedding model.",
        "config": "Show and check the settings.",
        "gateway": "Switch providers for running sessions, and move on where one fails.",
        "service": "Run the programs around the AI clients.",
        "doctor": "Check everything, and name what fixes it.",
    },
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="mahavishnu")
@click.option(
    "--set",
    "flags",
    multiple=True,
    metavar="KEY=VALUE",
    help="Override a setting for this command, for example log_level=debug; repeatable.",
)
@click.pass_context
def cli(context: click.Context, flags: tuple[str, ...]) -> None:
    """One place for a developer's AI tools: memory that is kept, found and yours."""
    context.obj = read_flags(flags)


def read_flags(flags: tuple[str, ...]) -> dict[str, str]:
    """Return the values of `--set KEY=VALUE` by key; the settings check them."""
    pairs = [flag.partition("=") for flag in flags]
    for key, separator, _ in pairs:
        if not separator or not key:
            raise UsageError(
                f"--set {key!r} is not KEY=VALUE.",
                hint="For example: mahavishnu --set log_level=debug memory stats",
                code="settings.flag",
            )
    return {key: value for key, _, value in pairs}


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
    take_streams()
    as_json = asks_json(sys.argv[1:])
    try:
        cli.main(standalone_mode=False)
        sys.stdout.flush()  # here, where a failure can still be told
    except click.exceptions.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except click.exceptions.NoArgsIsHelpError as error:
        if not as_json:
            sys.stderr.write(error.format_message() + "\n")
            sys.exit(UsageError.exit_code)
        fail(UsageError("A command is missing.", hint=_help_hint(error)), as_json=True)
    except click.ClickException as error:
        fail(UsageError(error.format_message(), hint=_help_hint(error)), as_json=as_json)
    except MahavishnuError as error:
        _log.debug("command_failed", code=error.code, exc_info=True)
        fail(error, as_json=as_json)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except ReaderGone:
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


def asks_json(words: Sequence[str]) -> bool:
    """Tell whether errors are to be JSON too; after `--` the option is a text like any other."""
    return "--json" in itertools.takewhile(lambda word: word != "--", words)


def fail(error: MahavishnuError, *, as_json: bool) -> NoReturn:
    """Write an error to stderr, as JSON where that was asked for, and leave with its exit code."""
    from mahavishnu.interfaces.cli.render import print_error  # noqa: PLC0415 - cold path

    print_error(error, as_json=as_json)
    sys.exit(error.exit_code)


def _help_hint(error: click.ClickException) -> str | None:
    context = getattr(error, "ctx", None)
    return f"See: {context.command_path} --help" if context else None
