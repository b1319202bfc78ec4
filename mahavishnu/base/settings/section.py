"""What all sections of the settings have in common: which values are hidden, and how a section is shown."""

from msgspec import Struct

_KEY = "ai_environments.llm_profiles.*.key"
_ALERTS = "alerts.channels.*.url"
# Values that are never shown, logged or written back.
SECRET_KEYS = frozenset(
    {"postgresql.password", "embedding.openai_api_key", _KEY, _ALERTS}
    | {"services.*.environment", "session_buddy.environment"}  # some write a key there all the same
)
# Values in which `${NAME}` stays what it is: whoever needs the key asks for it then.
REFERENCE_KEYS = frozenset({_KEY, _ALERTS})
# Values in which a password is masked: of a database; and of a service, or of a bucket where it does not belong.
ADDRESS_KEYS = frozenset({"postgresql.dsn", "postgresql.direct_dsn", "backup.dsn"})
PROFILE_ADDRESSES = ("anthropic_base_url", "openai_responses_base_url", "openai_chat_base_url")
_SERVICES = ("embedding.ollama_base_url", "embedding.openai_base_url")
_STORES = ("secrets.oneiric.aws.*.endpoint_url",)
URL_KEYS = frozenset({*_SERVICES, *_STORES, "backup.store", "telemetry.endpoint"}) | {
    f"ai_environments.llm_profiles.*.{name}" for name in PROFILE_ADDRESSES
}


class SettingsSection(Struct, frozen=True, forbid_unknown_fields=True):
    """A group of settings; shows neither secrets nor addresses, which may hold a password."""

    def __repr__(self) -> str:
        hidden = {key.rpartition(".")[2] for key in SECRET_KEYS | ADDRESS_KEYS | URL_KEYS}
        shown = ", ".join(
            f"{name}={'***' if name in hidden and value is not None else repr(value)}"
            for name in self.__struct_fields__
            for value in (getattr(self, name),)
        )
        return f"{type(self).__name__}({shown})"
