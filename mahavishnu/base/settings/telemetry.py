"""The settings of telemetry."""

from typing import Annotated

from msgspec import Meta

from mahavishnu.base.settings.section import SettingsSection

HttpAddress = Annotated[str, Meta(pattern="^https?://[^/]")]


class TelemetrySettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Traces and metrics that leave for a collector, by OpenTelemetry; they need the extra `telemetry`."""

    enabled: Annotated[
        bool, Meta(description="Whether they are sent, once there is an endpoint.")
    ] = False
    endpoint: Annotated[
        HttpAddress | None,
        Meta(
            description="Where the collector takes OTLP over HTTP, for example http://127.0.0.1:4318; "
            "nothing is sent by default."
        ),
    ] = None
