"""When a job is due, and that it runs once: after missed times, jumps of the clock, two processes, a kill."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from mahavishnu.base.errors import UsageError
from mahavishnu.services.schedule.job import LastScheduled, ScheduledJob, check_cron, is_due
from mahavishnu.services.schedule.pause import Pause, PauseFile

NIGHTLY = "0 3 * * *"
MOMENT = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def clock_of_greenwich(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def job(tmp_path: Path) -> ScheduledJob:
    return ScheduledJob(tmp_path / "state", "backup", NIGHTLY)


def runs(job: ScheduledJob, now: datetime, *, succeeds: bool = True) -> bool:
    """Tell whether the job runs at a time."""
    with job.claim(now) as due:
        if due and succeeds:
            job.succeed(now)
        return due


def test_a_job_runs_at_its_times_and_what_was_missed_once(job: ScheduledJob) -> None:
    assert not runs(job, MOMENT), "a new job waits for its first time"
    assert not runs(job, MOMENT + timedelta(hours=1))
    later = MOMENT + timedelta(days=1)
    assert runs(job, later) and not runs(job, later + timedelta(minutes=1))
    missed = MOMENT + timedelta(days=30)
    assert runs(job, missed) and not runs(job, missed + timedelta(minutes=1))


def test_a_clock_that_jumps_makes_one_run_and_repeats_none(job: ScheduledJob) -> None:
    runs(job, MOMENT)
    ahead = MOMENT + timedelta(days=3_650)
    assert runs(job, ahead) and not runs(job, ahead)
    assert not runs(job, MOMENT + timedelta(minutes=1)), "it was set back"
    assert runs(job, MOMENT + timedelta(days=1)), "and it goes on from there"


def test_a_job_knows_whether_it_missed_a_time_and_how_far_its_times_are_apart(
    job: ScheduledJob,
) -> None:
    assert not job.has_missed(MOMENT)
    runs(job, MOMENT)
    assert not job.has_missed(MOMENT + timedelta(hours=1)), "none is due"
    assert not job.has_missed(MOMENT + timedelta(days=1)), "one is due"
    assert job.has_missed(MOMENT + timedelta(days=2))
    assert job.period(MOMENT) == timedelta(days=1)


def test_an_hourly_job_is_tried_again_within_the_hour(tmp_path: Path) -> None:
    hourly = ScheduledJob(tmp_path, "sync", "0 * * * *", last_pause=timedelta(hours=1))
    runs(hourly, MOMENT)
    for hour in range(1, 12):
        assert runs(hourly, MOMENT + timedelta(hours=hour), succeeds=False)


def test_another_expression_counts_from_when_it_was_set(tmp_path: Path) -> None:
    runs(ScheduledJob(tmp_path, "backup", NIGHTLY), MOMENT)
    changed = ScheduledJob(tmp_path, "backup", "0 4 * * *")
    later = MOMENT + timedelta(days=1)
    assert not runs(changed, later) and runs(changed, later + timedelta(days=1))


def test_of_two_daemons_one_runs_a_job(tmp_path: Path) -> None:
    one, two = (ScheduledJob(tmp_path, "backup", NIGHTLY) for _ in range(2))
    runs(one, MOMENT)
    later = MOMENT + timedelta(days=1)
    with one.claim(later) as due:
        assert due and not runs(two, later + timedelta(hours=1)), "it runs for long"
        one.succeed(later)
    assert not runs(two, later)


def test_a_run_that_fails_or_is_killed_is_tried_again_less_and_less_often(
    job: ScheduledJob,
) -> None:
    runs(job, MOMENT)
    start = MOMENT + timedelta(days=1)
    tried = [
        minute
        for minute in range(3 * 60)
        if runs(job, start + timedelta(minutes=minute), succeeds=False)
    ]
    assert tried == [0, 15, 45, 105]
    assert runs(job, start + timedelta(days=2)), "it is not given up"
    assert not runs(job, start + timedelta(days=2, minutes=1))


def test_a_damaged_file_is_begun_anew(job: ScheduledJob, tmp_path: Path) -> None:
    runs(job, MOMENT)
    (tmp_path / "state" / "schedule-backup.json").write_bytes(b"{")
    assert not runs(job, MOMENT + timedelta(days=1))
    assert runs(job, MOMENT + timedelta(days=2))


def test_the_hour_that_comes_twice_brings_no_second_run() -> None:
    zone = ZoneInfo("Europe/Berlin")  # 2026-10-25, 03:00 becomes 02:00
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)  # 02:30 for the first time
    last = LastScheduled(cron="30 2 * * *", counted_from=first)
    assert not is_due(last, first + timedelta(hours=1), zone=zone)
    assert is_due(last, first + timedelta(hours=25), zone=zone)


def test_a_time_that_the_clock_leaves_out_is_caught_up() -> None:
    zone = ZoneInfo("Europe/Berlin")  # 2026-03-29, 02:00 becomes 03:00
    last = LastScheduled(cron="30 2 * * *", counted_from=datetime(2026, 3, 28, 12, tzinfo=UTC))
    assert not is_due(last, datetime(2026, 3, 29, 0, 59, tzinfo=UTC), zone=zone)
    assert is_due(last, datetime(2026, 3, 29, 1, 0, tzinfo=UTC), zone=zone)


@pytest.mark.parametrize("expression", ["61 * * * *", "0 0 30 2 *", "a b c d e", "* * * *", ""])
def test_what_is_no_cron_expression_is_refused_by_the_name_of_its_setting(expression: str) -> None:
    with pytest.raises(UsageError, match=r"backup\.schedule") as caught:
        check_cron(expression, key="backup.schedule")
    assert caught.value.code == "schedule.cron"


def test_a_pause_holds_until_its_end_and_a_damaged_one_pauses_nothing(tmp_path: Path) -> None:
    file = PauseFile(tmp_path / "state")
    assert file.read(MOMENT) is None
    for until in (None, MOMENT + timedelta(hours=2)):
        pause = Pause(since=MOMENT, until=until)
        file.write(pause)
        assert file.read(MOMENT + timedelta(hours=1)) == pause
        assert (file.read(MOMENT + timedelta(hours=2)) is None) == (until is not None)
    file.path.write_bytes(b'{"since"')
    assert file.read(MOMENT) is None
    file.remove()
    file.remove()
    assert not file.path.exists()
