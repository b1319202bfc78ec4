"""Why a start of PostgreSQL failed, out of a log that holds former starts too."""

from pathlib import Path

import pytest

from mahavishnu.database.embedded.server_log import last_words, log_size

STAMP = "2026-11-21 10:00:00.123 UTC [17] "
FORMER = f'{STAMP}FATAL:  data directory "data" has invalid permissions\n'
STARTING = f"{STAMP}LOG:  starting PostgreSQL 18.6\n"
NO_CONTROL_FILE = (
    "postgres: could not find the database system\n"
    'Expected to find it in the directory "data",\n'
    'but could not open file "data/global/pg_control": No such file or directory\n'
)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (f"{STARTING}{STAMP}FATAL:  lock file exists\n{STAMP}HINT:  Look.\n", "lock file exists"),
        (NO_CONTROL_FILE, NO_CONTROL_FILE.replace("\n", " ").strip()),
        (
            f"{STARTING}{STAMP}LOG:  server process was killed\n\tby a signal\n",
            "it did not say why.",
        ),
        (f"{STAMP}FATAL:  the database system is starting up\n", "it did not say why."),
        ("", "it did not say why."),
    ],
)
def test_only_what_this_start_said_is_its_reason(tmp_path: Path, said: str, reason: str) -> None:
    log = tmp_path / "postgres.log"
    assert last_words(log, since=log_size(log)) == "it left no log."
    log.write_text(FORMER)
    since = log_size(log)
    with log.open("a") as stream:
        stream.write(said)
    assert last_words(log, since=since) == reason


def test_a_log_that_was_cut_meanwhile_is_read_from_its_beginning(tmp_path: Path) -> None:
    log = tmp_path / "postgres.log"
    log.write_text(FORMER)
    assert last_words(log, since=10_000_000).endswith("invalid permissions")
