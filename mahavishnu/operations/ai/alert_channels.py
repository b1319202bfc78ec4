"""The channels of alerts that the settings name; their URLs are kept as the keys of profiles are."""

from collections.abc import Mapping
from functools import partial

from mahavishnu.ai.profiles.profile import check_name
from mahavishnu.ai.secrets.reference import Reference, parse_reference
from mahavishnu.ai.secrets.resolve import find_identity, resolve
from mahavishnu.base.durations import read_duration
from mahavishnu.base.errors import UsageError
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.operations.ai.secret_settings import cloud_stores
from mahavishnu.services.alerts.channel import Channel
from mahavishnu.services.alerts.ledger import Rules


def alert_channels(loaded: Loaded) -> Mapping[str, Channel]:
    """Return the channels by name; raises `UsageError`, `alerts.channel`, for one that cannot be used."""
    section = loaded.settings.alerts
    return {
        name: Channel(
            name=name,
            find_url=partial(
                resolve,
                _reference(name, channel.url),
                environ=loaded.environ,
                identity=find_identity(loaded.environ, loaded.locations),
                stores=partial(cloud_stores, loaded),
                asking=False,
            ),
            rules=Rules(
                acts=channel.acts,
                results=channel.results,
                repeat_after=read_duration(section.repeat_after),
                per_hour=section.per_hour,
            ),
            folder=loaded.locations.state / "alerts",
        )
        for name, channel in section.channels.items()
    }


def _reference(name: str, url: str | None) -> Reference:
    """Return where the URL of a channel is; the setting is in no message, since it may be the URL itself."""
    key = f"alerts.channels.{name}"
    try:
        check_name(name)
    except UsageError as error:
        told = "The name of a channel has small letters, digits, - and _."
        raise UsageError(f"{key}: {told}", hint=error.hint, code="alerts.channel") from error
    try:
        return parse_reference(url or "")
    except UsageError as error:
        told = f"{key}.url does not say where its Apprise URL is."
        raise UsageError(told, hint=error.hint, code="alerts.channel") from error
