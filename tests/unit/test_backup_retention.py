"""Which backup sets stay, for any clocks; which addresses mean which place."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.base.errors import Unavailable, UsageError
from mahavishnu.base.paths import locate
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.database.backup.storage.choose import BucketAddress, open_storage, parse_address
from mahavishnu.database.backup.storage.folder import LocalFolder
from mahavishnu.database.backup.storage.port import StoredSet, name_set, parse_set
from mahavishnu.database.backup.storage.retention import KeptSets, reasons_to_stay
from mahavishnu.factories import backups_of

NOW = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
OLD = timedelta(0)
Sets = st.lists(st.integers(-1500, 60), max_size=40).map(
    lambda days: [stored(number, NOW + timedelta(days=day)) for number, day in enumerate(days, 1)]
)
Retentions = st.builds(
    KeptSets, last=st.integers(1, 5), daily=st.integers(0, 5), weekly=st.integers(0, 4),
    monthly=st.integers(0, 4), min_age=st.just(OLD),
)  # fmt: skip


def stored(number: int, at: datetime) -> StoredSet:
    return name_set(number, at, f"{number:08x}")


def test_a_year_of_daily_sets_becomes_the_last_days_weeks_and_months() -> None:
    sets = [stored(400 - days, NOW - timedelta(days=days)) for days in range(400)]
    retention = KeptSets(last=2, daily=5, weekly=3, monthly=3)
    stays = reasons_to_stay(sets, retention, proven=[sets[30]], now=NOW)
    assert {400 - each.number: reason for each, reason in stays.items()} == {
        0: "one of the last 2", 1: "one of the last 2", 2: "the last of the day 2026-11-22",
        3: "the last of the day 2026-11-21", 4: "the last of the day 2026-11-20",
        9: "the last of the week 2026-W46", 24: "the last of the month 2026-10",
        30: "the newest proven one", 55: "the last of the month 2026-09",
    }  # fmt: skip


@given(sets=Sets, retention=Retentions, data=st.data())
def test_whatever_the_clocks_said_the_last_and_the_newest_proven_stay(
    sets: list[StoredSet], retention: KeptSets, data: st.DataObject
) -> None:
    proven = data.draw(st.sets(st.sampled_from(sets))) if sets else set()
    stays = reasons_to_stay(sets, retention, proven=proven, now=NOW)
    assert {*sets[-retention.last :], *sorted(proven)[-1:]} <= stays.keys() <= set(sets)
    days = {each.created_at.date() for each in sets}
    assert len(stays) >= min(len(days), max(retention.daily, retention.last))
    again = reasons_to_stay(list(stays), retention, proven=proven, now=NOW)
    assert again.keys() == stays.keys(), "a second time, nothing else goes"


def test_the_newest_proven_one_stays_however_old_it_is() -> None:
    sets = [stored(number, NOW - timedelta(days=800 - number)) for number in (1, 2, 3)]
    retention = KeptSets(last=1, daily=0, weekly=0, monthly=0, min_age=OLD)
    stays = reasons_to_stay(sets, retention, proven=sets[:2], now=NOW)
    assert stays.keys() == {*sets[1:]}


@given(sets=Sets)
def test_young_sets_stay_and_so_do_those_of_the_future(sets: list[StoredSet]) -> None:
    retention = KeptSets(last=1, daily=0, weekly=0, monthly=0, min_age=timedelta(days=30))
    stays = reasons_to_stay(sets, retention, proven=(), now=NOW)
    young = {each for each in sets if each.created_at > NOW - retention.min_age}
    assert stays.keys() == young | {*sets[-1:]}


def test_a_name_says_number_time_and_token() -> None:
    made = stored(7, NOW)
    assert parse_set(made.name) == made and made.created_at == NOW
    assert parse_set("lock") is None and parse_set(f"{made.name}.old") is None


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("gs://team-backups/of/me/", BucketAddress("gs", "team-backups", "of/me")),
        ("s3://team.backups", BucketAddress("s3", "team.backups", "")),
        ("/srv/backups", Path("/srv/backups")),
        ("~/backups", Path("~/backups")),
    ],
)
def test_an_address_is_a_folder_or_a_bucket(text: str, address: Path | BucketAddress) -> None:
    assert parse_address(text) == (address.expanduser() if isinstance(address, Path) else address)


@pytest.mark.parametrize(
    "text",
    [
        "", "backups", "./backups", "ftp://x/y", "gs://", "gs://A_B", "s3://x/y", "s3://key:secret@bucket/x",
        "s3://bucket?endpoint=x", "gs://bucket/../x", "gs://bucket//x", "file:///srv/backups", "gs://bucket/a\nb",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_storage(text)
    assert caught.value.code == "backup.address" and "secret" not in str(vars(caught.value))


def test_the_setting_names_the_place(tmp_path: Path) -> None:
    def storage_of(store: str | None) -> Any:
        environ = {"HOME": str(tmp_path), "MAHAVISHNU_HOME": str(tmp_path)}
        loaded = load_settings(environ=environ, folder=tmp_path, flags={"backup.store": store})
        return backups_of(loaded, cast(Any, None), ()).storage()

    assert storage_of(None).root == locate({"MAHAVISHNU_HOME": str(tmp_path)}).backups
    assert storage_of("/srv/sets").root == Path("/srv/sets")
    for wrong in ("ftp://host/sets", "sets"):
        with pytest.raises(UsageError) as caught:
            storage_of(wrong)
        assert caught.value.code == "backup.address"


def test_a_folder_needs_no_client_and_a_bucket_says_which_extra_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("google.cloud.storage", "botocore.session"):
        monkeypatch.setitem(sys.modules, name, None)
    assert isinstance(open_storage(str(tmp_path)), LocalFolder)
    for address, extra in (("gs://bucket", "backup-gcs"), ("s3://bucket", "backup-s3")):
        with pytest.raises(Unavailable) as caught:
            open_storage(address)
        assert caught.value.code == "engine.not_installed" and extra in caught.value.message
