"""
The settings: one frozen tree, each field with its type, bounds and meaning.

Nothing else reads the environment or a settings file; `sources` finds, merges and checks.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from msgspec import Meta, defstruct, field

from mahavishnu.base.clients import CLIENT_PACKAGES
from mahavishnu.base.settings.alerts import AlertsSettings
from mahavishnu.base.settings.backup import BackupSettings
from mahavishnu.base.settings.gateway import GatewaySettings
from mahavishnu.base.settings.memory import InsightSettings, MemorySettings, SyncSettings
from mahavishnu.base.settings.section import SettingsSection
from mahavishnu.base.settings.services import (
    ServiceSettings,
    SessionBuddySettings,
    SupervisordSettings,
)
from mahavishnu.base.settings.telemetry import TelemetrySettings

Port = Annotated[int, Meta(ge=1, le=65_535)]
Dimensions = Annotated[int, Meta(ge=1, le=4_000)]
Threads = Annotated[int, Meta(ge=1, le=256)]
Milliseconds = Annotated[int, Meta(ge=1, le=86_400_000)]
Priority = Annotated[
    int, Meta(description="Of several stores of a provider the highest is asked first.")
]
Probe = Annotated[
    str | None, Meta(description="The id that health checks ask for; it need not be there.")
]
type LogLevel = Literal["debug", "info", "warning", "error"]
type Encryption = Literal["gpg", "age"]
type ProviderName = Literal["auto", "ollama", "in-process", "openai", "none"]


class PostgresqlSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Where the memories are kept. Without `dsn` and `host` the embedded server is used."""

    enabled: Annotated[bool, Meta(description="Whether memory commands may use a database.")] = True
    dsn: Annotated[
        str | None, Meta(description="Address of your own server, as a PostgreSQL URL.")
    ] = None
    direct_dsn: Annotated[
        str | None,
        Meta(
            description="Address that bypasses a transaction-mode pooler; setting it says that "
            "`dsn` goes to one."
        ),
    ] = None
    host: Annotated[
        str | None, Meta(description="Host name or socket folder of your own server.")
    ] = None
    port: Annotated[Port | None, Meta(description="Its port.")] = None
    database: Annotated[str, Meta(description="Its database.")] = "mahavishnu"
    user: Annotated[str | None, Meta(description="Its user; the system user by default.")] = None
    password: Annotated[
        str | None, Meta(description="Its password; better `${NAME}` than the word itself.")
    ] = None
    pool_size: Annotated[
        int,
        Meta(ge=1, le=50, description="Most connections of one process; a command uses two."),
    ] = 10
    statement_timeout: Annotated[
        float, Meta(gt=0, le=86_400, description="Longest time for one statement, in seconds.")
    ] = 60.0
    binaries: Annotated[
        str | None,
        Meta(description="Folder of other PostgreSQL binaries for the embedded server."),
    ] = None
    idle_timeout: Annotated[
        float,
        Meta(
            ge=0.2,
            le=55,
            description="Seconds after its last user until the embedded server begins to stop.",
        ),
    ] = 50.0


class EmbeddingSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Which model turns texts into vectors."""

    provider: Annotated[
        ProviderName,
        Meta(description="`auto` takes Ollama where it runs, else a local model, else none."),
    ] = "auto"
    model: Annotated[
        str | None, Meta(description="Name of the model; nomic-embed-text by default.")
    ] = None
    ollama_base_url: Annotated[
        str | None, Meta(description="Address of Ollama; OLLAMA_HOST or port 11434 by default.")
    ] = None
    openai_base_url: Annotated[str, Meta(description="Address of an OpenAI-compatible server.")] = (
        "https://api.openai.com/v1"
    )
    openai_api_key: Annotated[
        str | None, Meta(description="Its key; better `${NAME}` than the word itself.")
    ] = None
    openai_dimensions: Annotated[
        Dimensions | None, Meta(description="Dimensions to ask it for.")
    ] = None
    batch_size: Annotated[int, Meta(ge=1, le=512, description="Texts in one request.")] = 16
    timeout: Annotated[
        float, Meta(gt=0, le=3600, description="Longest time for one request, in seconds.")
    ] = 120.0
    threads: Annotated[
        Threads | None,
        Meta(description="Threads of a local model; half of the cores by default."),
    ] = None


class ServerSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """The daemon (`mahavishnu up`). It listens on 127.0.0.1 and nowhere else."""

    port: Annotated[
        int, Meta(ge=0, le=65_535, description="Port on 127.0.0.1; 0 takes any that is free.")
    ] = 8680
    max_requests: Annotated[
        int, Meta(ge=1, le=65_536, description="Most requests at once; more are answered 429.")
    ] = 2_048
    max_body: Annotated[
        int,
        Meta(ge=65_536, le=1 << 28, description="Most bytes of one request; longer: 413."),
    ] = 8 * 1024 * 1024
    request_timeout: Annotated[
        float,
        Meta(gt=0, le=3600, description="Seconds a client may take to send or to read."),
    ] = 30.0
    drain_timeout: Annotated[
        float, Meta(ge=0, le=600, description="Seconds that running requests get to end.")
    ] = 10.0


class EnvironmentSecrets(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Keys in variables: the key `X` is the reference `env:PREFIXX`."""

    prefix: Annotated[str, Meta(description="What the names of variables begin with.")] = ""
    required_keys: Annotated[
        tuple[str, ...], Meta(description="Names, without the prefix, that must be set.")
    ] = ()


class FileSecrets(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Keys in one encrypted file: the key `X` is the reference `file:PATH#PREFIXX`."""

    path: Annotated[
        str | None,
        Meta(
            description="Absolute, from ~/, or beside the settings file that says it: a file "
            "that GPG or age encrypted."
        ),
    ] = None
    encryption: Annotated[
        Encryption | None,
        Meta(description="What must have encrypted it; recognised where this is not set."),
    ] = None
    prefix: Annotated[str, Meta(description="What the names in the file begin with.")] = ""
    required_keys: Annotated[
        tuple[str, ...], Meta(description="Names, without the prefix, that must be in it.")
    ] = ()


class AwsStoreSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """AWS Secrets Manager of one region, which `oneiric:aws/ID#FIELD` leads to."""

    region: Annotated[str | None, Meta(description="Its region; needed.")] = None
    priority: Priority = 0
    profile_name: Annotated[
        str | None, Meta(description="The profile of AWS's own settings that signs in.")
    ] = None
    endpoint_url: Annotated[
        str | None,
        Meta(
            description="Another address: https, or http on this machine; those of AWS's own "
            "settings do not count."
        ),
    ] = None
    version_stage: Annotated[
        str | None, Meta(description="The stage that is read; AWSCURRENT by default.")
    ] = None
    probe: Probe = None


class GcpStoreSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """GCP Secret Manager of one project, which `oneiric:gcp/ID#FIELD` leads to."""

    project_id: Annotated[str | None, Meta(description="Its project; needed.")] = None
    priority: Priority = 0
    credentials_file: Annotated[
        str | None,
        Meta(
            description="A service account's file, absolute or from ~/; else Google's default "
            "credentials."
        ),
    ] = None
    default_version: Annotated[str, Meta(description="The version that is read.")] = "latest"
    probe: Probe = None


class OneiricSecrets(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Cloud stores of keys, by provider and name; they need the extra `oneiric`."""

    timeout: Annotated[
        float,
        Meta(gt=0, le=60, description="Seconds for one key, from all stores that may be asked."),
    ] = 10.0
    selections: Annotated[
        tuple[str, ...],
        Meta(
            description="`PROVIDER/NAME`, one for a provider: asked first, whatever the "
            "priorities say."
        ),
    ] = ()
    aws: dict[str, AwsStoreSettings] = field(default_factory=dict)
    gcp: dict[str, GcpStoreSettings] = field(default_factory=dict)


class SecretsSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Which keys must be there before a switch, and which stores there are; never the keys themselves."""

    env: EnvironmentSecrets = field(default_factory=EnvironmentSecrets)
    file: FileSecrets = field(default_factory=FileSecrets)
    oneiric: OneiricSecrets = field(default_factory=OneiricSecrets)


class ClientSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Whether and where a client is configured."""

    enabled: Annotated[bool, Meta(description="Whether switches may change its settings.")] = True
    config_path: Annotated[
        str | None,
        Meta(description="Its settings file, absolute or from ~/; its own place by default."),
    ] = None


# A section for each client, and its name, are made of the table; to a type checker a name is any text.
if TYPE_CHECKING:
    type ClientName = str

    class _Clients(SettingsSection, frozen=True, forbid_unknown_fields=True):
        """The clients that are switched."""
else:
    type ClientName = Literal[tuple(CLIENT_PACKAGES)]
    _Clients = defstruct(
        "_Clients",
        [
            (name.replace("-", "_"), ClientSettings, field(default_factory=ClientSettings))
            for name in CLIENT_PACKAGES
        ],
        bases=(SettingsSection,),
        frozen=True,
        forbid_unknown_fields=True,
    )


class ProfileSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """What the settings say of one provider; `ai.profiles` decides whether it can be used."""

    title: Annotated[str | None, Meta(description="One line that describes it.")] = None
    auth: Annotated[
        Literal["key", "native"] | None,
        Meta(
            description="`native` is a client's own sign-in; `key` where there is an address of your own."
        ),
    ] = None
    anthropic_base_url: Annotated[
        str | None, Meta(description="Where it speaks Anthropic Messages.")
    ] = None
    openai_responses_base_url: Annotated[
        str | None, Meta(description="Where it speaks OpenAI Responses.")
    ] = None
    openai_chat_base_url: Annotated[
        str | None, Meta(description="Where it speaks OpenAI chat completions.")
    ] = None
    key: Annotated[
        str | None,
        Meta(
            description="Where its key is: `env:NAME` or `${NAME}`, `keyring:SERVICE/NAME`, "
            "`file:PATH#NAME`, `oneiric:aws/ID#FIELD`; never the key itself."
        ),
    ] = None
    key_header: Annotated[
        Literal["bearer", "x-api-key"] | None, Meta(description="The header that carries the key.")
    ] = None
    model: Annotated[str | None, Meta(description="The model that clients ask for.")] = None
    small_model: Annotated[
        str | None, Meta(description="The model for small tasks of Claude Code.")
    ] = None
    api_timeout_ms: Annotated[
        Milliseconds | None, Meta(description="How long Claude Code waits, in milliseconds.")
    ] = None
    clients: Annotated[
        tuple[ClientName, ...] | None,
        Meta(description="Which clients it may configure; all that speak to it by default."),
    ] = None


class AiEnvironmentsSettings(_Clients, frozen=True, forbid_unknown_fields=True):
    """The clients that are switched, and the providers that they are switched to, by name."""

    verify_switch: Annotated[
        bool, Meta(description="Whether `ai switch-llm` asks the provider once afterwards.")
    ] = False
    fallback: Annotated[
        tuple[str, ...],
        Meta(
            description="Profiles in the order in which they follow one that fails, with `ai auto on`; none by default."
        ),
    ] = ()
    llm_profiles: dict[str, ProfileSettings] = field(default_factory=dict)
    shared_profiles: Annotated[
        tuple[str, ...],
        Meta(
            description="Files or folders with profiles of a team: absolute, from ~/, or beside the "
            "settings file that says it. They are read, and never written."
        ),
    ] = ()


class KnowledgeSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """How repositories are split, in smaller chunks where the model's window is small, and when they are read."""

    chunk_tokens: Annotated[int, Meta(ge=64, le=8192, description="Most tokens of a chunk.")] = 1024
    overlap_tokens: Annotated[int, Meta(ge=0, le=32, description="Tokens that two share.")] = 20
    schedule: Annotated[
        str | None,
        Meta(
            description="When the daemon reads all known repositories again, as a cron expression in local "
            'time: `"0 * * * *"` is each hour. Never by default.'
        ),
    ] = None


class AdaptersSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Other people's engines that feed the memory; each is an extra."""

    prefect: Annotated[bool, Meta(description="Whether commands may use Prefect.")] = True
    agno: Annotated[
        bool, Meta(description="Whether agents of Agno may record, remember and recall.")
    ] = True
    llamaindex: Annotated[bool, Meta(description="Whether repositories are ingested.")] = True


class MetricsSettings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """How long samples are kept."""

    raw_days: Annotated[
        int, Meta(ge=1, le=3650, description="Days until an hour's samples become one row.")
    ] = 7
    keep_days: Annotated[int, Meta(ge=1, le=3650, description="Days until they are deleted.")] = 365


class Settings(SettingsSection, frozen=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    log_level: Annotated[LogLevel, Meta(description="Least level of messages shown on stderr.")] = (
        "warning"
    )
    postgresql: PostgresqlSettings = field(default_factory=PostgresqlSettings)
    embedding: EmbeddingSettings = field(default_factory=EmbeddingSettings)
    server: ServerSettings = field(default_factory=ServerSettings)
    secrets: SecretsSettings = field(default_factory=SecretsSettings)
    memory: MemorySettings = field(default_factory=MemorySettings)
    knowledge: KnowledgeSettings = field(default_factory=KnowledgeSettings)
    ai_environments: AiEnvironmentsSettings = field(default_factory=AiEnvironmentsSettings)
    adapters: AdaptersSettings = field(default_factory=AdaptersSettings)
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    gateway: GatewaySettings = field(default_factory=GatewaySettings)
    insights: InsightSettings = field(default_factory=InsightSettings)
    sync: SyncSettings = field(default_factory=SyncSettings)
    backup: BackupSettings = field(default_factory=BackupSettings)
    alerts: AlertsSettings = field(default_factory=AlertsSettings)
    services: dict[str, ServiceSettings] = field(default_factory=dict)
    session_buddy: SessionBuddySettings = field(default_factory=SessionBuddySettings)
    supervisord: SupervisordSettings = field(default_factory=SupervisordSettings)
