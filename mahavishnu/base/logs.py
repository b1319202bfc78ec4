"""
Structured logs to stderr, by structlog, loaded at the first message that is shown.

Importing structlog costs a third of a second; a command that has nothing to say does not pay it.
"""

import logging
import sys
from types import ModuleType
from typing import Any

from mahavishnu.base.telemetry.spans import trace_ids

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_threshold = [LEVELS["warning"]]


class Logger:
    """Says one event with its fields; messages below the threshold cost nothing."""

    def __init__(self, name: str) -> None:
        self._name = name

    def debug(self, event: str, **fields: Any) -> None:
        """Say something for the developer."""
        self._say("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Say what happened."""
        self._say("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Say what is not as it should be."""
        self._say("warning", event, fields)

    def error(self, event: str, *, exc_info: bool = False, **fields: Any) -> None:
        """Say what failed, with the traceback where asked."""
        self._say("error", event, {**fields, "exc_info": exc_info})

    def _say(self, level: str, event: str, fields: dict[str, Any]) -> None:
        if LEVELS[level] < _threshold[0]:
            return
        getattr(configure_structlog().get_logger(), level)(event, logger=self._name, **fields)


def configure_structlog() -> ModuleType:
    """
    Load structlog, and send it to stderr unless somebody has set it up; for libraries that speak by it as well.

    Left alone it prints on stdout, where an answer or the messages of MCP are.
    """
    import structlog  # noqa: PLC0415 - see the module docstring

    if structlog.is_configured():
        return structlog
    structlog.configure(
        processors=[
            _drop_foreign,
            _add_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=False)
            if sys.stderr.isatty()
            else structlog.processors.JSONRenderer(),
        ],
        # As stderr is when something is said: tests, and a log that is renewed, exchange it.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    return structlog


def _drop_foreign(_logger: Any, _level: str, event: Any) -> Any:
    """Pass over what a library says, but for debugging: what matters of it becomes an error of ours."""
    if "logger" not in event and _threshold[0] > LEVELS["debug"]:
        raise configure_structlog().DropEvent
    return event


def _add_trace(_logger: Any, _level: str, event: Any) -> Any:
    """Name the trace and the span that the message belongs to, where there is one."""
    event.update(trace_ids())
    return event


def get_logger(name: str) -> Logger:
    """Return the logger of a module."""
    return Logger(name)


def set_log_level(level: str) -> None:
    """Show messages from `level` on (a key of `LEVELS`), and those of libraries likewise."""
    _threshold[0] = LEVELS[level]
    logging.getLogger().setLevel(max(_threshold[0], logging.WARNING))
