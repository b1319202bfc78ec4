"""The settings of alerts."""

from typing import Annotated, Literal

from msgspec import Meta, field

from mahavishnu.base.settings.memory import Age
from mahavishnu.base.settings.section import SettingsSection

type EventResult = Literal["done", "failed", "skipped"]


class AlertChannelSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Where alerts go, and which."""

    url: Annotated[
        str | None,
        Meta(
            description="Where its Apprise URL is, as for the key of a profile: `env:NAME` or `${NAME}`, "
            "`keyring:SERVICE/NAME`, `file:PATH#NAME`; never the URL itself. Needed."
        ),
    ] = None
    acts: Annotated[
        tuple[str, ...],
        Meta(description="Which acts of `mahavishnu events`; `*` is any text: `backup.*`."),
    ] = ("*",)
    results: Annotated[
        tuple[EventResult, ...], Meta(description="Of `failed`, `done` and `skipped`.")
    ] = ("failed",)


class AlertsSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Messages about what the daemon did, through Apprise; they need the extra `alerts`."""

    channels: dict[str, AlertChannelSettings] = field(default_factory=dict)
    repeat_after: Annotated[
        Age, Meta(description="Until then the same act with the same error makes one alert.")
    ] = "6h"
    per_hour: Annotated[
        int, Meta(ge=1, le=1_000, description="Most messages of a channel in an hour.")
    ] = 20
