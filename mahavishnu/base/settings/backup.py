"""The settings of backups."""

from typing import Annotated

from msgspec import Meta

from mahavishnu.base.settings.section import SettingsSection


class BackupSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Where backup sets are kept, and who can decrypt them."""

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
