"""
Keys of earlier sample files: each is carried over to a present key, or answered with what replaced it.

And keys of later releases, which are accepted. Tables, not code; a test holds the list of all keys the samples had,
another that an answer about what is not here yet goes when that arrives.
"""

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from mahavishnu.base.settings.keys import match_key


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
    "agentdb.postgres_url": Legacy(answer="All memories are in PostgreSQL: set postgresql.dsn."),
    "agentdb.connection_pool_size": Legacy(
        answer="All memories are in PostgreSQL: set postgresql.pool_size."
    ),
    "agentdb.*": Legacy(
        answer="All memories are in PostgreSQL. AgentDB takes no vectors over MCP and keeps nothing: the"
        " daemon keeps vectors in its memory instead (memory.hot.max_mb)."
    ),
    "memory.tier1.*": Legacy(
        answer="The hot tier is the vectors in the daemon's memory: set memory.hot.max_mb, and choose with --tier hot."
    ),
    "memory.tier2.*": Legacy(answer="The cold tier is PostgreSQL: set postgresql.dsn."),
    "memory.tier*": Legacy(
        answer="The tier development is Session-Buddy: set session_buddy.python or session_buddy.address, and choose"
        " with --tier development."
    ),
    "postgresql.max_overflow": Legacy(
        answer="The pool has one bound: postgresql.pool_size. Callers beyond it wait."
    ),
    "llm_model": Legacy(now="embedding.model"),
    "ollama_base_url": Legacy(now="embedding.ollama_base_url"),
    "session_buddy.url": Legacy(now="session_buddy.address"),
    "memory_service.enabled": Legacy(now="postgresql.enabled"),
    "memory_service.enable_rag_search": Legacy(
        answer="Every search covers documents; narrow it with --type."
    ),
    "memory_service.enable_agent_memory": Legacy(
        answer="Every search covers agent memories; narrow it with --type."
    ),
    "memory_service.enable_reflection_search": Legacy(
        answer="Choose where to look with --tier: development is Session-Buddy."
    ),
    "memory_service.enable_cross_system_sharing": Legacy(
        answer="Memories are private; share one with: mahavishnu memory store --shared, and what is found in them with:"
        " mahavishnu insight share."
    ),
    "memory_service.enable_performance_monitoring": Legacy(
        answer="Record metrics with: mahavishnu metrics record. There is nothing to turn on."
    ),
    **{
        f"{_PROFILE}.{below}{name}": Legacy(now=f"{_PROFILE}.{present}")
        for name, present in PROFILE_NAMES.items()
        for below in ("", "env.")
    },
    **{
        f"secrets.{section}.{key}": Legacy(
            answer=f"A profile names its key: oneiric:{section}/ID#FIELD. The setting of that store is "
            f"secrets.oneiric.{section}.NAME.{place}, and mahavishnu ai secrets check tells what is missing."
        )
        for section, place, keys in (
            ("aws", "region", ("secret_id", "region", "prefix", "required_keys")),
            ("gcp", "project_id", ("secret_id", "project", "prefix", "required_keys")),
        )
        for key in keys
    },
    "secrets.oneiric.infisical.*": Legacy(
        answer="Infisical is no longer a store of keys. Start the client by its program (infisical run -- PROGRAM) and"
        " let the profile name env:NAME, or keep the key in a keyring, a file, AWS or GCP."
    ),
}
LEGACY_SECTIONS = frozenset(
    key[:place] for key in LEGACY_KEYS for place, sign in enumerate(key) if sign == "."
)


def find_legacy(key: str) -> Legacy | None:
    """Return what became of a dotted key; None where it never was one."""
    if key in LEGACY_KEYS:
        return LEGACY_KEYS[key]
    for known, legacy in LEGACY_KEYS.items():
        if (name := match_key(known, key)) is not None:
            return replace(legacy, now=legacy.now and legacy.now.replace("*", name))
    for group in ("agentdb.*", "memory.tier*", "secrets.oneiric.infisical.*"):
        if _is_below(key, group):
            return LEGACY_KEYS[group]
    return None


def find_legacy_variable(name: str) -> Legacy | None:
    """Return the same for the environment variable that is named like such a key."""
    written = name.removeprefix("MAHAVISHNU_").lower()
    for key in LEGACY_KEYS:
        if _is_below(written, key.replace(".", "_").lower()):
            return find_legacy(key)
    return None


def _is_below(key: str, pattern: str) -> bool:
    """Tell whether a key is the group of a pattern itself, or anything in it."""
    return key == pattern.rstrip("*._") or fnmatchcase(key, pattern)
