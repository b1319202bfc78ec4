"""`mahavishnu workflow run`: a command, recorded as one execution."""

import asyncio
import contextlib
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mahavishnu.cli.options import asynchronous, metadata_option, opened_app
from mahavishnu.cli.render import printable
from mahavishnu.errors import NotFound, Unavailable, UsageError

if TYPE_CHECKING:
    from mahavishnu.memory.records import ExecutionStatus

MAX_TAIL = 10_000  # bytes of stderr that are kept
ADAPTER = "command"


class Wrapper(click.Command):
    """A command whose words after `--` are a command of the user's, in `context.obj`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read what is before the first `--`."""
        end = args.index("--") if "--" in args else len(args)
        ctx.obj = tuple(args[end + 1 :])
        return super().parse_args(ctx, args[:end])

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Name the command in the line of usage."""
        return [*super().collect_usage_pieces(ctx), "-- COMMAND..."]


@click.command(cls=Wrapper)
@click.argument("name", required=False)
@click.option(
    "--repo",
    "repositories",
    multiple=True,
    metavar="ID",
    help="Repository it works on; repeatable.",
)
@click.option("--project", metavar="NAME", help="Project; made if it is new.")
@metadata_option
@click.pass_obj
def run(words: tuple[str, ...], /, name: str | None, **fields: Any) -> None:
    """
    Run COMMAND and record it as an execution of the workflow NAME, by default its program's name.

    For example: mahavishnu workflow run nightly --repo shop -- make report

    It has this terminal, and its exit code is that of this command. Of what it says on stderr the end is
    recorded if it fails. Where the database cannot be reached it runs all the same, unrecorded.
    """
    if not words:
        raise UsageError("No command is named.", hint="For example: -- make report")
    workflow = name or Path(words[0]).name
    sys.exit(_run(words, workflow, **fields))


@asynchronous
async def _run(words: tuple[str, ...], workflow: str, **fields: Any) -> int:
    from mahavishnu.memory.recording import Recording, record_run  # noqa: PLC0415 - after option errors

    recording, code = Recording(execution_id=""), None
    try:
        async with contextlib.AsyncExitStack() as stack:
            try:
                app = await stack.enter_async_context(opened_app())
                recording = await stack.enter_async_context(
                    record_run(app.records, workflow, adapter=ADAPTER, **fields)
                )
            except Unavailable as error:
                _print_not_recorded(error)
            code, tail = await _execute(words)
            recording.result = {"exit_code": code}
            if code:
                recording.status = _status_of(code)
                recording.error = tail.strip() or f"It ended with exit code {code}."
    except Unavailable as error:  # gone meanwhile: the command has ended as it has
        if code is None:
            raise
        _print_not_recorded(error)
    return code if code >= 0 else 128 - code


def _print_not_recorded(error: Unavailable) -> None:
    click.echo(printable(f"Not recorded: {error.message}"), err=True)


async def _execute(words: tuple[str, ...]) -> tuple[int, str]:
    """Run a command to its end; returns its exit code, negative for a signal, and the end of its stderr."""
    process: asyncio.subprocess.Process | None = None
    is_asked_to_end = False

    def end() -> None:
        nonlocal is_asked_to_end
        is_asked_to_end = True
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()

    with _signals(end):
        try:
            process = await asyncio.create_subprocess_exec(*words, stderr=asyncio.subprocess.PIPE)
        except OSError as error:
            raise NotFound(
                f"{words[0]} cannot be started ({error.strerror}).", code="workflow.not_started"
            ) from error
        if is_asked_to_end:
            end()
        assert process.stderr is not None
        tail = b""
        async for piece in _pieces(process.stderr):
            sys.stderr.buffer.write(piece)
            sys.stderr.buffer.flush()
            tail = (tail + piece)[-MAX_TAIL:]
        code = await process.wait()
    return code, tail.decode("utf-8", "replace").replace("\0", "")


async def _pieces(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while piece := await stream.read(65_536):
        yield piece


@contextlib.contextmanager
def _signals(end: Callable[[], None]) -> Iterator[None]:
    """
    Leave Ctrl-C to the command, which gets it from the terminal too, and let SIGTERM call `end`.

    In force before the command starts: what it prints first may be answered by a signal at once.
    """
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, end)
    try:
        yield
    finally:
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)


def _status_of(code: int) -> "ExecutionStatus":
    if code in (-signal.SIGINT, -signal.SIGTERM):
        return "cancelled"
    return "crashed" if code < 0 else "failed"
