"""
Keys of earlier sample files: each is carried over to a present key, or answered with what replaced it.

A table, not code; a test holds the list of all keys the samples had.
"""

from dataclasses import dataclass, replace

from mahavishnu.settings.keys import match_key


@dataclass(frozen=True)
class Legacy:
    """What became of a key: `now` takes its value over; `answer` says what to do instead."""

    now: str | None = None
    answer: str = ""


# What Claude Code calls the members of a profile, alone or below env, in samples and settings of its own.
PROFILE_NAMES = {
    "anthropic_auth_token": "key",
    "ANTHROPIC_AUTH_TOKEN": "key",
    "ANTHROPIC_API_KEY": "key",
    "ANTHROPIC_BASE_URL": "anthropic_base_url",
    "API_TIMEOUT_MS": "api_timeout_ms",
    "ANTHROPIC_MODEL": "model",
    "ANTHROPIC_DEFAULT_HAIKU_MODEL": "small_model",
}
_PROFILE = "ai_environments.llm_profiles.*"
# A `*` stands for one name, in `now` for the same one.
LEGACY_KEYS: dict[str, Legacy] = {
    "server_name": Legacy(answer="The name is fixed: mahavishnu."),
    "cache_root": Legacy(answer="Set the environment variable MAHAVISHNU_HOME instead."),
    "adapters.prefect": Legacy(
        answer="It will be an extra, not a setting; this release does not have it yet."
    ),
    "adapters.llamaindex": Legacy(
        answer="It will be an extra, not a setting; this release does not have it yet."
    ),
    "adapters.agno": Legacy(
        answer="It will be an extra, not a setting; this release does not have it yet."
    ),
    "postgresql.max_overflow": Legacy(
        answer="The pool has one bound: postgresql.pool_size. Callers beyond it wait."
    ),
    "llm_model": Legacy(now="embedding.model"),
    "ollama_base_url": Legacy(now="embedding.ollama_base_url"),
    "memory_service.enabled": Legacy(now="postgresql.enabled"),
    "memory_service.enable_rag_search": Legacy(
        answer="Every search covers documents; narrow it with --type."
    ),
    "memory_service.enable_agent_memory": Legacy(
        answer="Every search covers agent memories; narrow it with --type."
    ),
    "memory_service.enable_reflection_search": Legacy(
        answer="Choose where to look with --tier; development is not in this release yet."
    ),
    "memory_service.enable_cross_system_sharing": Legacy(
        answer="Memories are private; insights are shared explicitly."
    ),
    "memory_service.enable_performance_monitoring": Legacy(
        answer="Metrics are stored when something records them; there is nothing to turn on."
    ),
    **{
        f"{_PROFILE}.{below}{name}": Legacy(now=f"{_PROFILE}.{present}")
        for name, present in PROFILE_NAMES.items()
        for below in ("", "env.")
    },
    **{
        f"memory.tier{number}.{key}": Legacy(
            answer="The tiers are fixed: hot is an index in memory, cold is PostgreSQL, "
            "development is Session-Buddy; choose with --tier."
        )
        for number in (1, 2, 3)
        for key in ("adapter", "provider", "use_case")
    },
    **{
        f"secrets.{section}.{key}": Legacy(
            answer=f"A profile names its key: oneiric:{section}/ID#FIELD. Where that store is stands in "
            f"secrets.oneiric.{section}.NAME.{place}, and mahavishnu ai secrets check tells what is missing."
        )
        for section, place, keys in (
            ("aws", "region", ("secret_id", "region", "prefix", "required_keys")),
            ("gcp", "project_id", ("secret_id", "project", "prefix", "required_keys")),
        )
        for key in keys
    },
}


LEGACY_SECTIONS = frozenset(
    key[:place] for key in LEGACY_KEYS for place, sign in enumerate(key) if sign == "."
)


def find_legacy(key: str) -> Legacy | None:
    """Return what became of a dotted key, or None where it never was one."""
    if key in LEGACY_KEYS:
        return LEGACY_KEYS[key]
    for known, legacy in LEGACY_KEYS.items():
        if (name := match_key(known, key)) is not None:
            return replace(legacy, now=legacy.now and legacy.now.replace("*", name))
    return None
