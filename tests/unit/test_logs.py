"""Logs: silent below the threshold at no cost, one JSON object a line above it."""

import json
import subprocess
import sys
from typing import Any

import pytest

from mahavishnu.base.logs import LEVELS, get_logger


def run(code: str) -> tuple[str, list[dict[str, Any]]]:
    """Run `code` in a fresh interpreter; return what it printed and what it logged."""
    result = subprocess.run(
        [sys.executable, "-c", f"import sys\nfrom mahavishnu.base.logs import *\n{code}"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return result.stdout, [json.loads(line) for line in result.stderr.splitlines()]


def test_below_the_threshold_nothing_is_imported_or_written() -> None:
    printed, logged = run(
        "log = get_logger('x')\nlog.debug('a')\nlog.info('b', n=1)\nprint('structlog' in sys.modules)"
    )
    assert printed == "False\n" and logged == []


def test_a_warning_is_one_json_object_on_stderr() -> None:
    printed, [line] = run("get_logger('a.b').warning('queue_full', waiting=3, who='ü')")
    assert printed == ""
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "queue_full",
        "level": "warning",
        "logger": "a.b",
        "waiting": 3,
        "who": "ü",
    }


def test_an_error_may_carry_its_traceback() -> None:
    _, lines = run(
        "log = get_logger('x')\n"
        "try: 1 / 0\nexcept ZeroDivisionError: log.error('failed', exc_info=True)\n"
        "log.error('plain')"
    )
    assert "ZeroDivisionError" in lines[0]["exception"]
    assert "exception" not in lines[1]


@pytest.mark.parametrize("level", LEVELS)
def test_the_threshold_is_where_it_was_set(level: str) -> None:
    _, lines = run(
        f"set_log_level({level!r})\nlog = get_logger('x')\n"
        "for name in LEVELS: getattr(log, name)('said')"
    )
    assert [line["level"] for line in lines] == list(LEVELS)[list(LEVELS).index(level) :]


def test_libraries_are_kept_down_to_warnings() -> None:
    printed, _ = run(
        "import logging\nset_log_level('debug')\nprint(logging.getLogger().level)\n"
        "set_log_level('error')\nprint(logging.getLogger().level)"
    )
    assert printed.split() == ["30", "40"]


def test_a_logger_is_made_without_effect() -> None:
    assert vars(get_logger("x")) == {"_name": "x"}


@pytest.mark.parametrize("level", LEVELS)
def test_a_library_is_heard_for_debugging_alone_and_never_on_stdout(level: str) -> None:
    printed, lines = run(
        f"set_log_level({level!r})\nconfigure_structlog()\nimport structlog\n"
        "for name in LEVELS: getattr(structlog.get_logger('theirs'), name)('said')"
    )
    assert printed == ""
    assert [line["level"] for line in lines] == (list(LEVELS) if level == "debug" else [])


def test_who_set_structlog_up_keeps_it_so() -> None:
    printed, lines = run(
        "import structlog\nstructlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stdout))\n"
        "configure_structlog()\nstructlog.get_logger().info('said')"
    )
    assert "said" in printed and lines == []
