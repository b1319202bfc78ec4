"""The settings of services: programs that the daemon keeps running."""

from typing import Annotated, Literal

from msgspec import Meta, field

from mahavishnu.base.settings.section import SettingsSection

Seconds = Annotated[float, Meta(gt=0, le=3600)]
Times = Annotated[int, Meta(ge=1, le=1000)]


class ServiceHealthSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """How a service is asked whether it works, by one of the first five; it only counts as running without any."""

    http: Annotated[
        str | None, Meta(description="An address that answers below 400 where it works.")
    ] = None
    tcp: Annotated[str | None, Meta(description="HOST:PORT that takes connections.")] = None
    mcp: Annotated[str | None, Meta(description="An address that answers MCP's `initialize`.")] = (
        None
    )
    command: Annotated[
        tuple[str, ...], Meta(description="A command, word by word, that ends with status 0.")
    ] = ()
    sql: Annotated[str | None, Meta(description="A statement for the configured PostgreSQL.")] = (
        None
    )
    interval: Annotated[Seconds, Meta(description="Seconds between two checks.")] = 10.0
    timeout: Annotated[Seconds, Meta(description="Seconds until no answer counts as none.")] = 5.0
    unhealthy_after: Annotated[
        Times, Meta(description="Failures in a row that make it unhealthy.")
    ] = 3
    healthy_after: Annotated[
        Times, Meta(description="Successes in a row that make it healthy again.")
    ] = 1


class ServiceSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """A service by its name. The user's own settings alone count: a project cannot name commands."""

    command: Annotated[
        tuple[str, ...],
        Meta(description="The program and its words; it must not go to the background."),
    ] = ()
    environment: Annotated[
        tuple[str, ...],
        Meta(
            description="`NAME=VALUE`, or `NAME=` and where a key is, as in profiles (`env:NAME`, "
            "`keyring:SERVICE/NAME`); it is looked up at each start."
        ),
    ] = ()
    working_directory: Annotated[
        str | None, Meta(description="Absolute or from ~/; your home by default.")
    ] = None
    depends_on: Annotated[
        tuple[str, ...], Meta(description="Services that are started before it.")
    ] = ()
    restart: Annotated[
        Literal["always", "on-failure", "never"],
        Meta(description="When it is started again after it ended by itself."),
    ] = "on-failure"
    stop_command: Annotated[
        tuple[str, ...], Meta(description="A command that ends it; SIGTERM by default.")
    ] = ()
    grace: Annotated[Seconds, Meta(description="Seconds to end in, before it is killed.")] = 10.0
    start_timeout: Annotated[Seconds, Meta(description="Seconds to become healthy in.")] = 60.0
    enabled: Annotated[bool, Meta(description="Whether it starts with the daemon.")] = True
    detached: Annotated[bool, Meta(description="Whether it goes on when the daemon ends.")] = False
    backend: Annotated[
        Literal["own", "systemd", "supervisord", "launchd"] | None,
        Meta(
            description="Who runs it: the daemon itself (`own`) by default, unless one of the others has it already."
        ),
    ] = None
    health: ServiceHealthSettings = field(default_factory=ServiceHealthSettings)


class SupervisordSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Your own supervisord, which may run services and the daemon."""

    config: Annotated[
        str | None,
        Meta(
            description="Its settings file, absolute or from ~/, with [unix_http_server] and [include]; the first at "
            "a usual place by default."
        ),
    ] = None


# It has no login, and what is sent to it is not for everybody: in clear only to the machine itself.
BuddyAddress = Annotated[
    str,
    Meta(
        pattern=r"^(https://[^/@\s?#]+|http://(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d{1,5})?)/?$"
    ),
]


class SessionBuddySettings(ServiceSettings, frozen=True, forbid_unknown_fields=True):
    """Session-Buddy as the service `session-buddy`; `python` is enough, and `command` replaces all."""

    enabled: Annotated[
        bool, Meta(description="Whether it starts with the daemon, and is used.")
    ] = True
    address: Annotated[
        BuddyAddress | None,
        Meta(
            description="Of a Session-Buddy that you run yourself, such as http://127.0.0.1:8678: `http` only on this "
            "machine. By default the service's own.",
        ),
    ] = None
    python: Annotated[
        str | None,
        Meta(description="A Python that has session-buddy 0.23, absolute or from ~/."),
    ] = None
    port: Annotated[int, Meta(ge=1, le=65_535, description="Its port on 127.0.0.1.")] = 8678
    data_dir: Annotated[
        str | None,
        Meta(
            description="A data_dir that Session-Buddy has already: its databases are copied at the first start."
        ),
    ] = None
    in_place: Annotated[
        bool, Meta(description="Whether that data_dir is written where it is, instead of copied.")
    ] = False
