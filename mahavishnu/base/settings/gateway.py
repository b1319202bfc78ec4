"""The settings of the LLM gateway."""

from typing import Annotated

from msgspec import Meta, field

from mahavishnu.base.settings.section import SettingsSection

DailyTokens = Annotated[int, Meta(ge=0)]
DailyCost = Annotated[float, Meta(ge=0)]
Waited = Annotated[float, Meta(gt=0, le=3600)]


class ProfileLimitSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """The limit of a profile, by its name."""

    daily_tokens: Annotated[
        DailyTokens | None,
        Meta(
            description="Most tokens in a day; then the next profile of the route is asked, and without one the "
            "request is refused."
        ),
    ] = None
    daily_cost: Annotated[
        DailyCost | None,
        Meta(
            description="Most US dollars in a day, at list price; a model without a known price counts as nothing."
        ),
    ] = None


class GatewaySettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """The gateway that passes requests of AI clients on to providers. Your own settings alone count."""

    enabled: Annotated[
        bool | None,
        Meta(
            description="Whether the daemon keeps it running, as the service `gateway`; by default once a client goes "
            "through it."
        ),
    ] = None
    port: Annotated[int, Meta(ge=1, le=65_535, description="Its port on 127.0.0.1.")] = 8681
    max_requests: Annotated[
        int, Meta(ge=1, le=4_096, description="Most requests at once; more are answered 503.")
    ] = 512
    max_body: Annotated[
        int, Meta(ge=65_536, le=1 << 28, description="Most bytes of one request; longer: 413.")
    ] = 100 * 1024 * 1024
    connect_timeout: Annotated[
        Waited, Meta(description="Seconds until a provider takes a connection.")
    ] = 10.0
    first_timeout: Annotated[
        Waited, Meta(description="Seconds until the answer of a provider begins.")
    ] = 300.0
    event_timeout: Annotated[
        Waited, Meta(description="Seconds between two pieces of an answer.")
    ] = 300.0
    drain_timeout: Annotated[
        float, Meta(ge=0, le=600, description="Seconds that running requests get to end.")
    ] = 10.0
    limits: dict[str, ProfileLimitSettings] = field(default_factory=dict)
