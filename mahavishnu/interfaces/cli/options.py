"""Options that several commands share, and how their words become values."""

import functools
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec
from msgspec import Struct

from mahavishnu.base.errors import UsageError
from mahavishnu.base.logs import set_log_level
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.base.telemetry.spans import span
from mahavishnu.base.telemetry.start import sending_telemetry
from mahavishnu.interfaces.cli.render import print_json, printable
from mahavishnu.operations.moments import read_moment

if TYPE_CHECKING:
    from mahavishnu.app import App

COMMAND_POOL_SIZE = 2

_METADATA_HINT = 'Write k=v, or a JSON object: {"k": "v"}'
METADATA_HELP = 'K=V is a text; a number is JSON: {"n": 5}.'

# None where the user was asked, and said no; with an exit code where the body does not say it.
type _Answer = Struct | tuple[Struct, int] | None

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (schema 1).")
project_option = click.option("--project", metavar="NAME", help="Project; made if it is new.")
since_option = click.option("--since", metavar="WHEN", help="7d, 12h, 2w, or a date.")
source_option = click.option(
    "--source", "source_system", default="cli", show_default=True, metavar="NAME",
    help="Source system.",
)  # fmt: skip
until_option = click.option("--until", metavar="WHEN", help="Before this; as --since.")


def answers(
    show: Callable[[Any], object], *, code: Callable[[Any], int] = lambda _: 0
) -> Callable[[Callable[..., _Answer | Coroutine[Any, Any, _Answer]]], Callable[..., None]]:
    """Add --json to a command that returns a body, printed as JSON or shown to people; `code` is the exit code."""

    def decorate(
        function: Callable[..., _Answer | Coroutine[Any, Any, _Answer]],
    ) -> Callable[..., None]:
        @functools.wraps(function)
        def run(*, as_json: bool, **given: Any) -> None:
            body = function(**given)
            if isinstance(body, Coroutine):
                body = _finish(body)
            body, status = body if isinstance(body, tuple) else (body, code(body))
            (print_json if as_json else show)(body)
            if status:
                sys.stdout.flush()
                sys.exit(status)

        return json_option(run)

    return decorate


def parameter(name: str) -> Any:
    """Return what the command that runs was given; `as_json` where it prints JSON."""
    return click.get_current_context().params.get(name)


def add_options[F: Callable[..., Any]](function: F, *options: Callable[[F], F]) -> F:
    """Add options to a command, in the order in which help lists them."""
    for option in reversed(options):
        function = option(function)
    return function


def metadata_option[F: Callable[..., Any]](function: F) -> F:
    """Add the option for keys of the caller's own."""
    return click.option(
        "--metadata", multiple=True, metavar="K=V|JSON", callback=read_metadata,
        help=f"Repeatable. {METADATA_HELP}",
    )(function)  # fmt: skip


def read_object(_context: click.Context, option: click.Parameter, text: str | None) -> Any:
    """Read the JSON object of an option, where it is given."""
    return None if text is None else parse_object(text, option=option.opts[0])


def read_time(_context: click.Context, option: click.Parameter, text: str | None) -> str | None:
    """Read the time of an option, where it is given, as one that says the same later."""
    return None if text is None else read_moment(text, what=str(option.name)).isoformat()


def read_metadata(
    _context: click.Context, _option: click.Parameter, items: tuple[str, ...]
) -> dict[str, Any]:
    return parse_metadata(items)


def parse_metadata(items: tuple[str, ...]) -> dict[str, Any]:
    """Merge `k=v` pairs (text values) and JSON objects; what stands twice is refused."""
    pairs: list[tuple[str, Any]] = []
    for item in items:
        if item.lstrip().startswith(("{", "[")):
            value = parse_object(item, option="--metadata", hint=_METADATA_HINT)
            pairs += value.items()
            continue
        key, separator, text = item.partition("=")
        if not separator or not key.strip():
            raise UsageError(
                f"--metadata {item!r} is neither k=v nor a JSON object.",
                hint="For example: --metadata type=decision",
                code="input.metadata",
            )
        pairs.append((key.strip(), text))
    return _merge(pairs)


def parse_object(
    text: str, *, option: str, hint: str = 'Write a JSON object: {"k": "v"}'
) -> dict[str, Any]:
    """Return the JSON object of an option; what stands twice is refused."""
    try:
        value = msgspec.json.decode(text.encode("utf-8", "surrogatepass"))
        # The faster one, which is also stricter, lets the last of two equal keys win.
        json.loads(text, object_pairs_hook=_merge)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{option} is not valid JSON: {error}.", hint=hint, code="input.metadata"
        ) from error
    if not isinstance(value, dict):
        raise UsageError(f"{option} is not a JSON object.", hint=hint, code="input.metadata")
    return value


def _merge(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return pairs as a dict; refuses a key that stands twice, of which one would be lost."""
    merged = dict(pairs)
    if len(merged) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise UsageError(
            f"The metadata names {twice!r} twice.",
            hint='Name it once; several values are a list: {"k": ["a", "b"]}',
            code="input.metadata",
        )
    return merged


@contextmanager
def interruptible() -> Iterator[None]:
    """Let Ctrl-C end a blocking read: asyncio would cancel the task, which does not notice."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def confirm(question: str) -> bool:
    """Ask on stderr; only a yes is one."""
    with interruptible():
        return click.confirm(question, err=True)


def load_quietly() -> Loaded:
    """Load the settings, those of `--set` above all."""
    return load_settings(flags=click.get_current_context().find_root().obj)


def load() -> Loaded:
    """Load the settings, telling of what the user should know on stderr."""
    loaded = load_quietly()
    set_log_level(loaded.settings.log_level)
    for notice in loaded.notices:
        sys.stderr.write(f"Note: {printable(notice)}\n")
    return loaded


@contextmanager
def traced(loaded: Loaded) -> Iterator[None]:
    """Let what a command does be one span."""
    telemetry, command = loaded.settings.telemetry, click.get_current_context().command_path
    with (
        sending_telemetry(
            enabled=telemetry.enabled, endpoint=telemetry.endpoint, environ=loaded.environ
        ),
        span(command, carrier={"traceparent": loaded.environ.get("TRACEPARENT", "")}),
    ):
        yield


@asynccontextmanager
async def opened_app(
    *, required: bool = True, drain: bool = True, reach: bool = True, loaded: Loaded | None = None
) -> "AsyncIterator[App]":
    """Open the application for one command, as `open_app` does; what it does is one span."""
    loaded = loaded or load()
    from mahavishnu.app import open_app  # noqa: PLC0415 - after settings errors, which are cheap

    with traced(loaded):
        async with open_app(
            loaded, pool_size=COMMAND_POOL_SIZE, required=required, drain=drain, reach=reach
        ) as app:
            yield app


def asynchronous[**P, R](function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, R]:
    """Run an async command to its end."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return _finish(function(*args, **kwargs))

    return run


def _finish[R](work: Coroutine[Any, Any, R]) -> R:
    import asyncio  # noqa: PLC0415 - 0.05 s that commands without it do not pay

    return asyncio.run(work)
