"""What is logged again and again: once a minute, with its number."""

import asyncio
import logging

import pytest

from mahavishnu.interfaces.http import log_limits
from mahavishnu.interfaces.http.log_limits import LIBRARIES, MAX_KINDS, LimitedLog, Quiet, limit_log


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_each_kind_is_said_once_a_minute_with_how_often_it_was_not() -> None:
    clock = Clock()
    said = LimitedLog(clock)
    assert [said.ask("a"), said.ask("a"), said.ask("b"), said.ask("a")] == [0, None, 0, None]
    clock.now += log_limits.EVERY_S - 1
    assert said.ask("a") is None
    clock.now += 1
    assert [said.ask("a"), said.ask("b"), said.ask("a")] == [3, 0, None]


def test_kinds_without_end_are_not_kept() -> None:
    said = LimitedLog(Clock())
    for number in range(10 * MAX_KINDS):
        said.ask(str(number))
    assert len(said._said) <= MAX_KINDS


def test_libraries_complain_once_and_of_a_cut_off_request_not_at_all(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limit_log()
    limit_log()
    server, loop = (logging.getLogger(name) for name in LIBRARIES)
    filters = [
        each for logger in (server, loop) for each in logger.filters if isinstance(each, Quiet)
    ]
    try:
        assert len(filters) == 2
        for number in range(50):
            server.warning("Invalid HTTP request received.")
            loop.error(f"socket.accept() out of system resource\nsocket: {number}")
        server.error("Exception in ASGI application\n", exc_info=asyncio.CancelledError())
        assert len(caplog.records) == 2
        server.error("Exception in ASGI application\n", exc_info=ValueError())
        server.error("Exception in ASGI application\n", exc_info=KeyError())
        assert len(caplog.records) == 4  # faults of two kinds
    finally:
        for logger, each in zip((server, loop), filters, strict=True):
            logger.removeFilter(each)


def test_the_number_of_what_was_left_out_is_said() -> None:
    clock = Clock()
    quiet = Quiet(LimitedLog(clock))

    def passes() -> str | None:
        record = logging.LogRecord("x", logging.ERROR, "", 0, "Bad %s.\n", ("thing",), None)
        return record.getMessage() if quiet.filter(record) else None

    assert [passes() for _ in range(3)] == ["Bad thing.\n", None, None]
    clock.now += log_limits.EVERY_S
    assert passes() == "Bad thing. (and 2 times before)"
