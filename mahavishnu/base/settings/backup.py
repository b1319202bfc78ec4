"""The settings of backups."""

from typing import Annotated

from msgspec import Meta, field

from mahavishnu.base.settings.section import SettingsSection

Count = Annotated[int, Meta(ge=0, le=10_000)]


class KeptSetsSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Which sets `backup prune` keeps; besides, those of the last day and the newest proven one."""

    last: Annotated[int, Meta(ge=1, le=10_000, description="So many of the newest.")] = 7
    daily: Annotated[Count, Meta(description="The last one of each of so many days.")] = 7
    weekly: Annotated[Count, Meta(description="Of each of so many weeks.")] = 4
    monthly: Annotated[Count, Meta(description="Of each of so many months.")] = 12


class BackupSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Where backup sets are kept, how many, and who can decrypt them."""

    store: Annotated[
        str | None,
        Meta(
            description="Folder, absolute or from ~/, or gs://BUCKET/PREFIX, or s3://BUCKET/PREFIX; "
            "`backups` in the data folder by default."
        ),
    ] = None
    recipients: Annotated[
        tuple[str, ...],
        Meta(
            description="Public keys of age that sets are encrypted to; needs the extra `backup`."
        ),
    ] = ()
    dsn: Annotated[
        str | None,
        Meta(
            description="Address of your own server as a role that sees every row and may create "
            "databases; only backups use it. `postgresql.dsn` by default."
        ),
    ] = None
    schedule: Annotated[
        str | None,
        Meta(
            description="When the daemon makes a set, drills it and prunes, as a cron expression in local "
            'time: `"0 3 * * *"` is each night at three. Never by default.'
        ),
    ] = None
    keep: KeptSetsSettings = field(default_factory=KeptSetsSettings)
