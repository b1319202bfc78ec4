"""Settings: which source wins, what is refused and how, what never shows."""

import contextlib
import os
import re
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest

from mahavishnu.base.errors import Corrupt, Forbidden, MahavishnuError, UsageError
from mahavishnu.base.settings.files import MAX_FILE_BYTES
from mahavishnu.base.settings.keys import describe_settings, find_setting, setting_keys
from mahavishnu.base.settings.legacy import LEGACY_KEYS, find_legacy
from mahavishnu.base.settings.section import ADDRESS_KEYS, SECRET_KEYS, URL_KEYS
from mahavishnu.base.settings.shown import shown_value
from mahavishnu.base.settings.sources import ENVIRONMENT, Loaded, load_settings, lookup
from mahavishnu.base.settings.tree import Settings
from mahavishnu.base.settings.trust import find_project_settings, trust
from mahavishnu.factories import forgetting_rules
from mahavishnu.interfaces.cli.root import cli
from mahavishnu.memory.forgetting import ForgettingRules

type Load = Callable[..., Loaded]

# Every key of the sample files of the first designs, as they stood there.
SAMPLE = """
server_name: Mahavishnu Orchestrator
cache_root: .oneiric_cache
log_level: INFO
adapters:
  prefect: true
  llamaindex: true
  agno: true
postgresql:
  enabled: true
  host: localhost
  port: 5432
  database: mahavishnu
  user: postgres
  password: "${PG_SECRET}"
  pool_size: 50
  max_overflow: 10
llm_model: nomic-embed-text
ollama_base_url: http://localhost:11434
memory_service:
  enabled: true
  enable_rag_search: true
  enable_agent_memory: true
  enable_reflection_search: true
  enable_cross_system_sharing: true
  enable_performance_monitoring: true
ai_environments:
  claude_code:
    config_path: ~/.claude/settings.json
    enabled: true
  llm_profiles:
    claude:
      anthropic_base_url: https://api.anthropic.com
      anthropic_auth_token: "${CLAUDE_API_KEY}"
      api_timeout_ms: 3000000
      model: claude-sonnet-4-5
    qwen:
      anthropic_base_url: https://api.qwen.com
memory:
  tier1: {adapter: agentdb, provider: local, use_case: hot}
  tier2: {adapter: pgvector, provider: postgresql, use_case: cold}
  tier3: {adapter: session_buddy, provider: duckdb, use_case: development}
secrets:
  env: {prefix: MAHAVISHNU_, required_keys: [CLAUDE_API_KEY]}
  file: {path: secrets.gpg, encryption: gpg, prefix: "", required_keys: []}
  aws: {secret_id: mahavishnu, region: eu-central-1, prefix: "", required_keys: []}
  gcp: {secret_id: mahavishnu, project: mine, prefix: "", required_keys: []}
"""
SAMPLE_KEYS = """
server_name cache_root log_level adapters.prefect adapters.llamaindex adapters.agno
postgresql.enabled postgresql.host postgresql.port postgresql.database postgresql.user
postgresql.password postgresql.pool_size postgresql.max_overflow llm_model ollama_base_url
memory_service.enabled memory_service.enable_rag_search memory_service.enable_agent_memory
memory_service.enable_reflection_search memory_service.enable_cross_system_sharing
memory_service.enable_performance_monitoring
ai_environments.claude_code.config_path ai_environments.claude_code.enabled
ai_environments.llm_profiles.claude.anthropic_base_url
ai_environments.llm_profiles.claude.anthropic_auth_token
ai_environments.llm_profiles.claude.api_timeout_ms ai_environments.llm_profiles.claude.model
ai_environments.llm_profiles.qwen.anthropic_base_url
memory.tier1.adapter memory.tier1.provider memory.tier1.use_case
memory.tier2.adapter memory.tier2.provider memory.tier2.use_case
memory.tier3.adapter memory.tier3.provider memory.tier3.use_case
secrets.env.prefix secrets.env.required_keys
secrets.file.path secrets.file.encryption secrets.file.prefix secrets.file.required_keys
secrets.aws.secret_id secrets.aws.region secrets.aws.prefix secrets.aws.required_keys
secrets.gcp.secret_id secrets.gcp.project secrets.gcp.prefix secrets.gcp.required_keys
""".split()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A MAHAVISHNU_HOME of this test's own, outside of the project's folder."""
    (tmp_path / "home/config").mkdir(parents=True)
    (tmp_path / "project/settings").mkdir(parents=True)
    return tmp_path / "home"


@pytest.fixture
def load(home: Path) -> Load:
    """Load settings of given texts; the project is trusted unless told otherwise."""

    def load_(
        user: str = "",
        *,
        project: str | None = None,
        local: str | None = None,
        trusted: bool = True,
        flags: dict[str, Any] | None = None,
        **environ: str,
    ) -> Loaded:
        folder = home.parent / "project"
        (home / "config/mahavishnu.yaml").write_text(user, encoding="utf-8")
        for name, text in (("mahavishnu.yaml", project), ("local.yaml", local)):
            if text is not None:
                (folder / "settings" / name).write_text(text, encoding="utf-8")
        variables = {"MAHAVISHNU_HOME": str(home), **environ}
        if trusted:
            trust(folder, load_settings(environ=variables, folder=home).locations)
        return load_settings(environ=variables, folder=folder, flags=flags)

    return load_


def test_without_anything_the_defaults_hold(load: Load) -> None:
    loaded = load(trusted=False)
    assert loaded.settings == Settings()
    assert loaded.notices == () and loaded.origins == {}


def test_the_higher_source_wins_and_is_named(load: Load) -> None:
    levels = ["user", "project", "local", "environment", "flag"]
    values = dict(zip(levels, ("m1", "m2", "m3", "m4", "m5"), strict=True))

    def chosen(*given: str) -> tuple[str | None, str]:
        def text(level: str) -> str:
            return f"embedding: {{model: {values[level]}}}" if level in given else ""

        loaded = load(
            text("user"),
            project=text("project"),
            local=text("local"),
            flags={"embedding.model": values["flag"]} if "flag" in given else None,
            **({"OLLAMA_MODEL": values["environment"]} if "environment" in given else {}),
        )
        return loaded.settings.embedding.model, loaded.origins["embedding.model"].origin

    for count in range(1, 6):
        model, origin = chosen(*levels[:count])
        assert model == values[levels[count - 1]]
        expected = {
            "user": "home/config/mahavishnu.yaml",
            "project": "settings/mahavishnu.yaml",
            "local": "settings/local.yaml",
        }.get(levels[count - 1], levels[count - 1])
        assert origin.endswith(expected)


def test_what_one_source_leaves_out_another_gives(load: Load) -> None:
    loaded = load(
        "postgresql: {pool_size: 7}\nlog_level: INFO",
        project="postgresql: {statement_timeout: 5}",
        MAHAVISHNU_PG_IDLE_TIMEOUT="3.5",
    )
    postgresql = loaded.settings.postgresql
    assert (postgresql.pool_size, postgresql.statement_timeout) == (7, 5.0)
    assert (postgresql.idle_timeout, loaded.settings.log_level) == (3.5, "info")


def test_an_empty_variable_is_as_good_as_none(load: Load) -> None:
    assert load("embedding: {model: m}", OLLAMA_MODEL="").settings.embedding.model == "m"


def test_an_untrusted_project_is_told_of_and_not_read(load: Load) -> None:
    loaded = load(project="embedding: {model: evil}\nnonsense: [", trusted=False)
    assert loaded.settings.embedding.model is None
    [notice] = loaded.notices
    assert "not trusted" in notice and "mahavishnu config trust" in notice


def test_trust_is_for_one_folder_and_survives(load: Load, home: Path) -> None:
    load()
    locations = load_settings(environ={"MAHAVISHNU_HOME": str(home)}, folder=home).locations
    inner = home.parent / "project/inner"
    (inner / "settings").mkdir(parents=True)
    (inner / "settings/local.yaml").write_text("log_level: debug")
    environ = {"MAHAVISHNU_HOME": str(home)}
    assert load_settings(environ=environ, folder=inner).settings.log_level == "warning"
    assert trust(inner, locations) == inner.resolve()
    assert load_settings(environ=environ, folder=inner).settings.log_level == "debug"
    trust(home, locations)
    assert load_settings(environ=environ, folder=inner).settings.log_level == "debug"
    assert locations.trusted_directories.stat().st_mode & 0o777 == 0o600


def test_a_link_to_a_trusted_folder_is_that_folder(load: Load, home: Path) -> None:
    load(project="log_level: error")
    link = home.parent / "link"
    link.symlink_to(home.parent / "project")
    loaded = load_settings(environ={"MAHAVISHNU_HOME": str(home)}, folder=link)
    assert loaded.settings.log_level == "error"


def test_trusting_a_file_is_refused(home: Path) -> None:
    locations = load_settings(environ={"MAHAVISHNU_HOME": str(home)}, folder=home).locations
    with pytest.raises(UsageError) as caught:
        trust(home / "nothing", locations)
    assert caught.value.code == "settings.not_a_folder"


def test_a_damaged_list_of_trust_is_told_and_kept(load: Load, home: Path) -> None:
    listed = home / "config/trusted.json"
    listed.write_text("{")
    with pytest.raises(Corrupt) as caught:
        load(project="", trusted=False)
    assert caught.value.code == "settings.trusted_damaged" and listed.read_text() == "{"


def test_the_nearest_settings_above_are_the_projects(home: Path, tmp_path: Path) -> None:
    project = tmp_path / "project"
    (project / "settings/local.yaml").write_text("")
    (project / "a/b").mkdir(parents=True)
    assert find_project_settings(project / "a/b", {}) == project
    assert find_project_settings(project / "a/b", {"HOME": str(project)}) is None
    assert find_project_settings(project / "a/b", {"HOME": str(tmp_path)}) == project
    assert find_project_settings(home, {}) is None


@pytest.mark.parametrize(
    ("text", "key", "near"),
    [
        ("postgresql: {pol_size: 3}", "postgresql.pol_size", "postgresql.pool_size"),
        ("log_levl: info", "log_levl", "log_level"),
        ("embedding: {modell: x}", "embedding.modell", "embedding.model"),
        ("lm_model: x", "lm_model", "llm_model"),
        ("zzz: 1", "zzz", "config show"),
        ("1: 2", "1", "config show"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest(
    load: Load, text: str, key: str, near: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load(text)
    assert caught.value.code == "settings.unknown_key"
    assert repr(key) in caught.value.message and "mahavishnu.yaml" in caught.value.message
    assert near in (caught.value.hint or "")


def test_an_unknown_flag_is_refused_too(load: Load) -> None:
    with pytest.raises(UsageError) as caught:
        load(flags={"postgresql.hosts": "h"})
    assert "postgresql.host" in (caught.value.hint or "")


def test_an_unknown_variable_is_mentioned_with_the_nearest(load: Load) -> None:
    loaded = load(MAHAVISHNU_PG_PASWORD="x", OTHER="y")
    [notice] = loaded.notices
    assert "MAHAVISHNU_PG_PASWORD" in notice and "MAHAVISHNU_PG_PASSWORD?" in notice


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("postgresql: {pool_size: many}", "postgresql.pool_size"),
        ("postgresql: {pool_size: 0}", "postgresql.pool_size"),
        ("postgresql: {pool_size: 51}", "postgresql.pool_size"),
        ("postgresql: {pool_size: null}", "postgresql.pool_size"),
        ("postgresql: {port: 70000}", "postgresql.port"),
        ("postgresql: {statement_timeout: 0}", "postgresql.statement_timeout"),
        ("postgresql: {statement_timeout: .nan}", "postgresql.statement_timeout"),
        ("postgresql: {statement_timeout: .inf}", "postgresql.statement_timeout"),
        ("postgresql: {idle_timeout: 60}", "postgresql.idle_timeout"),
        ("postgresql: {password: [hunter2]}", "postgresql.password"),
        ("embedding: {provider: bert}", "embedding.provider"),
        ("log_level: loud", "log_level"),
        ("memory: {retention: {agent: 0d}}", "memory.retention.agent"),
        ("memory: {restorable_for: 7 days}", "memory.restorable_for"),
        ("postgresql: 5", "postgresql"),
        ("postgresql: [5]", "postgresql"),
    ],
)
def test_a_wrong_value_is_refused_with_key_and_file(load: Load, text: str, key: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(text)
    assert caught.value.code == "settings.invalid_value"
    assert caught.value.message.startswith(f"{key} in ")
    assert "mahavishnu.yaml" in caught.value.message and "hunter2" not in caught.value.message


def test_ages_of_memories_are_durations(load: Load) -> None:
    assert forgetting_rules(load().settings.memory) == ForgettingRules(timedelta(days=7), {})
    loaded = load("memory: {restorable_for: 12h, retention: {agent: 90d, workflow: 2w}}")
    ages = {"agent": timedelta(days=90), "workflow": timedelta(days=14)}
    assert forgetting_rules(loaded.settings.memory) == ForgettingRules(timedelta(hours=12), ages)


def test_a_pool_that_is_too_large_is_refused_with_the_reason(load: Load) -> None:
    for given in ({"user": "postgresql: {pool_size: 51}"}, {"MAHAVISHNU_PG_POOL_SIZE": "51"}):
        with pytest.raises(UsageError, match="at most 50") as caught:
            load(**given)
        assert "100 connections" in (caught.value.hint or "")


def test_a_wrong_variable_names_the_environment(load: Load) -> None:
    with pytest.raises(UsageError) as caught:
        load(MAHAVISHNU_PG_PORT="x")
    assert caught.value.message.startswith("postgresql.port in environment")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("postgresql:\n  host: [1", "line 2"),
        ("a: b: c", "line 1, column 5"),
        ("log_level: info\n\tport: 1", "line 2, column 1"),
        ("a: *nowhere", "line 1, column 4"),
        ("a: !!python/object:os.system 1", "line 1, column 4"),
        ("a: \x01", "control characters"),
        ("postgresql:\n  port: 1\n  port: 2", "line 3, column 3: the key 'port' is there twice"),
        ("log_level: info\npostgresql:\nlog_level: debug", "'log_level' is there twice, first at line 1"),
        ("log_level: 2026-13-01", "line 1, column 12"),
        ("postgresql:\n  port: !!int ''", "line 2, column 9"),
        ("a: &a {b: *a}", "nested too deeply"),
        ("postgresql.port: 1\npostgresql: {port: 2}", "'postgresql.port' twice"),
    ],
)  # fmt: skip
def test_broken_yaml_is_told_with_its_place(load: Load, text: str, place: str) -> None:
    with pytest.raises(MahavishnuError) as caught:
        load(text)
    assert isinstance(caught.value, Corrupt) and caught.value.code == "settings.unparsable"
    assert place in caught.value.message


@pytest.mark.parametrize("text", ["- a\n- b", "just text", "42"])
def test_yaml_that_is_no_mapping_is_refused(load: Load, text: str) -> None:
    with pytest.raises(Corrupt):
        load(text)


def test_aliases_are_no_duplicates_and_do_not_multiply_without_end(load: Load) -> None:
    text = "postgresql: &a {port: 1}\nembedding: {<<: &b {threads: 1}, threads: 2}\n"
    assert load(text).settings.embedding.threads == 2
    levels = [f"a{n}: &a{n} {{p: *a{n - 1}, q: *a{n - 1}}}" for n in range(1, 60)]
    with pytest.raises(Corrupt) as caught:
        load("a0: &a0 {x: 1}\n" + "\n".join(levels))
    assert "1,000 settings" in caught.value.message


@pytest.mark.parametrize(
    "name", ["config/mahavishnu.yaml", "config/trusted.json", "../project/settings/local.yaml"]
)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "socket", "endless"])
def test_what_is_no_regular_file_is_refused_without_waiting(
    home: Path, kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = (home / name).resolve()
    if "project" in name:
        trust(
            home.parent / "project", load_settings(environ={"MAHAVISHNU_HOME": str(home)}).locations
        )
    else:
        (home.parent / "project/settings/local.yaml").write_text("")
    monkeypatch.chdir(path.parent)
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        elif kind == "folder":
            path.mkdir()
        elif kind == "socket":
            listener.bind(path.name)  # the whole path may be too long for one
        else:
            with path.open("wb") as stream:
                stream.truncate(MAX_FILE_BYTES + 1)
        with pytest.raises(Corrupt) as caught:
            load_settings(environ={"MAHAVISHNU_HOME": str(home)}, folder=home.parent / "project")
    assert caught.value.code == "settings.unparsable"
    assert str(path) in caught.value.message and caught.value.hint


def test_files_that_are_none(home: Path) -> None:
    settings = home / "config/mahavishnu.yaml"
    settings.write_bytes(b"\xff\xfe")
    environ = {"MAHAVISHNU_HOME": str(home)}
    with pytest.raises(Corrupt):
        load_settings(environ=environ, folder=home)
    settings.unlink()
    settings.mkdir()
    with pytest.raises(Corrupt):
        load_settings(environ=environ, folder=home)


def test_a_file_that_may_not_be_read(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *_: object) -> str:
        raise PermissionError(13, "Permission denied", str(self))

    (home / "config/mahavishnu.yaml").write_bytes(b"")
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(Forbidden) as caught:
        load_settings(environ={"MAHAVISHNU_HOME": str(home)}, folder=home)
    assert caught.value.code == "settings.unreadable"


def test_empty_sections_and_comments_are_fine(load: Load) -> None:
    assert load("# nothing\npostgresql:\nembedding: {}\n").settings == Settings()


def test_an_empty_section_of_a_sample_is_fine(load: Load) -> None:
    assert load("memory_service:\nadapters: {}\n").settings == Settings()


def test_references_are_replaced(load: Load) -> None:
    loaded = load(
        'postgresql: {host: db, password: "${SECRET}", database: "${A}_${B}"}',
        SECRET="s3cret$", A="x", B="y",
    )  # fmt: skip
    assert loaded.settings.postgresql.password == "s3cret$"
    assert loaded.settings.postgresql.database == "x_y"


def test_what_looks_like_a_reference_and_is_none_stays(load: Load) -> None:
    loaded = load('postgresql: {host: h, password: "$A ${1} ${a-b} $$"}')
    assert loaded.settings.postgresql.password == "$A ${1} ${a-b} $$"


def test_an_unset_reference_is_refused_by_name(load: Load) -> None:
    with pytest.raises(UsageError) as caught:
        load('postgresql: {password: "${NOT_THERE}"}')
    assert caught.value.code == "settings.unset_reference"
    assert "NOT_THERE" in (caught.value.hint or "") + caught.value.message


def test_a_reference_that_is_outranked_need_not_be_set(load: Load) -> None:
    key = "embedding: {openai_api_key: '${UNSET}'}"
    loaded = load(key, MAHAVISHNU_OPENAI_API_KEY="abc")
    assert loaded.settings.embedding.openai_api_key == "abc"
    with pytest.raises(UsageError):
        load(key)
    address = "postgresql: {dsn: 'postgresql://u:${UNSET}@far/x', password: '${UNSET}'}"
    assert load(address, MAHAVISHNU_PG_HOST="near").settings.postgresql.host == "near"
    whole = load(
        "postgresql: {host: h, password: '${UNSET}'}", MAHAVISHNU_PG_DSN="postgresql://h/d"
    )
    assert whole.settings.postgresql.dsn == "postgresql://h/d"


def test_a_reference_is_replaced_before_parts_go_in_and_once(load: Load) -> None:
    loaded = load(
        "postgresql: {dsn: 'postgresql://u@${HOST}/d'}",
        local="postgresql: {password: '${WORD}'}",
        HOST="far", WORD="${HOST}",
    )  # fmt: skip
    assert loaded.settings.postgresql.dsn == "postgresql://u:%24%7BHOST%7D@far/d"


@pytest.mark.parametrize(
    ("text", "present", "former"),
    [
        ("postgresql: {enabled: false}\nmemory_service: {enabled: true}",
         "postgresql.enabled", "memory_service.enabled"),
        ("memory_service: {enabled: true}\npostgresql: {enabled: false}",
         "postgresql.enabled", "memory_service.enabled"),
        ("embedding: {model: foo}\nllm_model: bar", "embedding.model", "llm_model"),
    ],
)  # fmt: skip
def test_a_key_and_its_former_name_may_not_differ(
    load: Load, text: str, present: str, former: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load(text)
    assert caught.value.code == "settings.contradiction"
    assert present in caught.value.message and former in caught.value.message
    assert "mahavishnu.yaml" in caught.value.message


def test_a_key_and_its_former_name_may_agree_or_stand_in_two_files(load: Load) -> None:
    both = "postgresql: {enabled: false}\nmemory_service: {enabled: false}"
    assert not load(both).settings.postgresql.enabled
    assert load("llm_model: a", project="embedding: {model: b}").settings.embedding.model == "b"


def test_our_own_variable_counts_before_that_of_ollama(load: Load) -> None:
    both = load("", OLLAMA_MODEL="theirs", MAHAVISHNU_EMBEDDING_MODEL="ours")
    assert both.settings.embedding.model == "ours"


def test_a_value_of_the_environment_is_taken_literally(load: Load) -> None:
    loaded = load(MAHAVISHNU_PG_HOST="h", MAHAVISHNU_PG_PASSWORD="a${b}")
    assert loaded.settings.postgresql.password == "a${b}"


WHOLE = "postgresql: {dsn: 'postgresql://far/away', direct_dsn: 'postgresql://far/direct'}"


def test_parts_of_a_higher_source_replace_a_whole_address(load: Load) -> None:
    loaded = load(WHOLE, MAHAVISHNU_PG_HOST="near")
    assert loaded.settings.postgresql.dsn is None
    assert loaded.settings.postgresql.direct_dsn is None
    assert loaded.settings.postgresql.host == "near"


def test_a_whole_address_of_a_higher_source_replaces_parts(load: Load) -> None:
    loaded = load(
        "postgresql: {host: near, port: 1, user: u, password: p, database: d}",
        MAHAVISHNU_PG_DSN="postgresql://far/away",
    )
    postgresql = loaded.settings.postgresql
    assert postgresql.dsn == "postgresql://far/away"
    assert (postgresql.host, postgresql.port, postgresql.user, postgresql.password) == (None,) * 4
    assert postgresql.database == "mahavishnu"


def test_a_direct_address_of_a_lower_source_is_of_another_server(load: Load) -> None:
    for name, value in (("DSN", "postgresql://near/d"), ("HOST", "near")):
        loaded = load(
            "postgresql: {direct_dsn: 'postgresql://far/direct'}",
            **{f"MAHAVISHNU_PG_{name}": value},
        )
        assert loaded.settings.postgresql.direct_dsn is None
        assert any("direct_dsn" in notice for notice in loaded.notices)
    pair = {"MAHAVISHNU_PG_HOST": "near", "MAHAVISHNU_PG_DIRECT_DSN": "postgresql://near/d"}
    assert load(WHOLE, **pair).settings.postgresql.direct_dsn == "postgresql://near/d"


def test_in_one_source_the_whole_address_wins(load: Load) -> None:
    loaded = load("postgresql: {dsn: 'postgresql://far/away', host: near}")
    assert loaded.settings.postgresql.dsn and loaded.settings.postgresql.host is None


def test_a_part_without_a_host_does_not_lead_to_another_database(load: Load) -> None:
    loaded = load(WHOLE, MAHAVISHNU_PG_PASSWORD="p")
    assert loaded.settings.postgresql.dsn == "postgresql://:p@far/away"
    assert loaded.settings.postgresql.direct_dsn == "postgresql://:p@far/direct"


def test_parts_of_a_higher_source_go_into_a_whole_address(load: Load) -> None:
    loaded = load(
        "postgresql: {dsn: 'postgresql://u:old@far:1/away?sslmode=require', user: lower}",
        MAHAVISHNU_PG_PORT="5433", MAHAVISHNU_PG_USER="me", MAHAVISHNU_PG_DATABASE="db",
        MAHAVISHNU_PG_PASSWORD="p@ss",
    )  # fmt: skip
    dsn = "postgresql://me:p%40ss@far:5433/db?sslmode=require"
    assert loaded.settings.postgresql.dsn == dsn
    assert loaded.settings.postgresql.user is None


def test_every_key_of_the_samples_is_in_force_or_answered(load: Load) -> None:
    loaded = load(SAMPLE, PG_SECRET="s")
    notices = "\n".join(loaded.notices)
    present = [key for key in SAMPLE_KEYS if find_setting(key)]
    assert len(present) == 23
    for key in SAMPLE_KEYS:
        if key in present:
            assert key in loaded.origins, key
            continue
        legacy = find_legacy(key)
        assert legacy is not None and (legacy.now or legacy.answer), key
        assert f"{key} in " in notices, key
    settings = loaded.settings
    assert settings.log_level == "info"
    assert settings.postgresql.host == "localhost" and settings.postgresql.password == "s"
    assert settings.postgresql.pool_size == 50 and settings.postgresql.port == 5432
    assert settings.embedding.model == "nomic-embed-text"
    assert settings.embedding.ollama_base_url == "http://localhost:11434"
    assert len(loaded.notices) == len(SAMPLE_KEYS) - len(present)
    claude = settings.ai_environments.llm_profiles["claude"]
    assert claude.key == "${CLAUDE_API_KEY}"  # a reference, not what it leads to
    assert claude.api_timeout_ms == 3_000_000 and claude.model == "claude-sonnet-4-5"
    assert settings.ai_environments.claude_code.config_path == "~/.claude/settings.json"


def test_the_list_holds_every_key_of_the_sample() -> None:
    import yaml

    def keys(node: Any, prefix: str = "") -> list[str]:
        if not isinstance(node, dict):
            return [prefix.rstrip(".")]
        return [key for name, value in node.items() for key in keys(value, f"{prefix}{name}.")]

    assert sorted(keys(yaml.safe_load(SAMPLE))) == sorted(SAMPLE_KEYS)


def test_what_is_beside_a_former_group_is_unknown(load: Load) -> None:
    for key in ("backups.target", "session_buddies.url", "memory.store", "agentdbs.url"):
        with pytest.raises(UsageError, match="Unknown setting"):
            load(f"{key}: 1")


@pytest.mark.parametrize(
    "key", ["agentdb.postgres_url", "agentdb.connection_pool_size", "agentdb.a.b", "agentdb"]
)
def test_agentdb_is_answered_with_postgresql(load: Load, key: str) -> None:
    [notice] = load(f"{key}: true").notices
    assert f"{key} in " in notice and "PostgreSQL" in notice


@pytest.mark.parametrize("key", ["memory.tier3.use_case", "memory.tier", "memory.tier4.adapter"])
def test_the_third_tier_is_answered_with_session_buddy(load: Load, key: str) -> None:
    [notice] = load(f"{key}: true").notices
    assert f"{key} in " in notice and "session_buddy.python" in notice


@pytest.mark.parametrize(("name", "key"), [
    ("MEMORY_TIER1_PROVIDER", "memory.tier1.provider"), ("MEMORY_TIER3_PROVIDER", "memory.tier3.provider"),
    ("AGENTDB", "agentdb"), ("AGENTDB_POSTGRES_URL", "agentdb.postgres_url"), ("SERVER_NAME", "server_name"),
    ("POSTGRESQL_MAX_OVERFLOW", "postgresql.max_overflow"), ("LLM_MODEL", "llm_model"),
    ("SESSION_BUDDY_URL", "session_buddy.url"),
])  # fmt: skip
def test_a_variable_named_like_a_former_key_has_its_answer(load: Load, name: str, key: str) -> None:
    [notice] = load(**{f"MAHAVISHNU_{name}": "canary"}).notices
    legacy = find_legacy(key)
    assert legacy is not None and (legacy.answer or f"called {legacy.now}.") in notice
    assert "Did you mean" not in notice and "canary" not in notice


_FUTURE = re.compile(r"\b(will|may become|to come|later|yet|soon|not in this release)\b")


def answers() -> Iterator[tuple[str, str]]:
    for key in LEGACY_KEYS:
        legacy = find_legacy(key)
        assert legacy is not None
        yield key, legacy.answer


def command_of(words: str) -> click.Command | None:
    """Return the command or group that words begin with; None where there is none."""
    found: click.Command | None = cli
    for word in re.findall(r"[\w-]+", words):
        if not isinstance(found, click.Group):
            break
        try:
            found = found.get_command(click.Context(found), word)
        except UsageError:  # of a later release
            return None
    return found


def test_no_answer_is_about_the_future() -> None:
    assert [key for key, text in answers() if _FUTURE.search(text)] == []
    assert not any(find_legacy(key) for key in setting_keys())


def test_what_an_answer_names_is_here() -> None:
    search = command_of("memory search")
    for key, text in answers():
        named = [command_of(words) for words in re.findall(r"\bmahavishnu ([a-z][\w -]+)", text)]
        assert None not in named, key
        options = {
            option for each in (search, *named) if each for p in each.params for option in p.opts
        }
        assert set(re.findall(r"--[\w-]+", text)) <= options, key
        for setting in re.findall(r"\b[a-z_]+(?:\.[A-Za-z_]+)+\b", text):
            assert find_setting(setting), (key, setting)


def test_an_answer_never_points_to_a_key_that_is_not_there() -> None:
    for key, legacy in LEGACY_KEYS.items():
        assert bool(legacy.now) != bool(legacy.answer), key
        assert legacy.now is None or legacy.now in setting_keys(), key
        assert key not in setting_keys(), key


def profile(**said: str) -> str:
    lines = "".join(f"\n      {name}: {value}" for name, value in said.items())
    return f"ai_environments:\n  llm_profiles:\n    work:{lines}\n"


def test_an_address_of_a_project_does_not_meet_the_users_key(load: Load) -> None:
    user = profile(anthropic_base_url="https://mine.example", key="env:MINE", model="m")
    loaded = load(user, project=profile(anthropic_base_url="https://theirs.example"))
    work = loaded.settings.ai_environments.llm_profiles["work"]
    assert (work.anthropic_base_url, work.key, work.model) == ("https://theirs.example", None, None)


def test_what_gives_no_address_changes_what_it_names(load: Load) -> None:
    user = profile(anthropic_base_url="https://mine.example", key="env:MINE", model="m")
    loaded = load(user, project=profile(model="theirs"), local=profile(title="T"))
    work = loaded.settings.ai_environments.llm_profiles["work"]
    assert (work.key, work.model, work.title) == ("env:MINE", "theirs", "T")


WRONG_MEMBERS = [
    ("work: {model: m, modle: x}", "settings.unknown_key", "model"),
    ("work: {key: {canary}}", "settings.unknown_key", ""),
    ("work: {ANTHROPIC_AUTH_TOKEN: {sk-canary-0123456789}}", "settings.unknown_key", "TOKEN"),
    ("work: {env: {ANTHROPIC_API_KEY: {sk-canary.0123: {x: 1}}}}", "settings.unknown_key", ""),
    ("work: {sk-canary-0123456789: x}", "settings.unknown_key", ""),
    ("work: {0123456789abcanary01: x}", "settings.unknown_key", ""),
    ("work: {env: {NOTHING: x}}", "settings.unknown_key", ""),
    ("work: {api_timeout_ms: canary}", "settings.invalid_value", ""),
    ("work: {api_timeout_ms: '${WORD}'}", "settings.invalid_value", ""),
    ("work: {clients: [claude-code, emacs]}", "settings.invalid_value", ""),
    ("work: {key: [canary]}", "settings.invalid_value", ""),
    ("work: {auth: both}", "settings.invalid_value", ""),
    ("work: canary", "settings.invalid_value", "indented"),
    ("work: {model: '${UNSET}'}", "settings.unset_reference", "UNSET"),
    ("work: {key: 'env:A', ANTHROPIC_AUTH_TOKEN: 'env:B'}", "settings.contradiction", "key"),
    ("work.5: {model: x}", "settings.unknown_key", "work-glm"),
]


@pytest.mark.parametrize(("text", "code", "hint"), WRONG_MEMBERS, ids=[w[0] for w in WRONG_MEMBERS])
@pytest.mark.parametrize("source", ["user", "project", "local"])
def test_a_wrong_profile_is_set_aside_with_its_line(
    load: Load, home: Path, source: str, text: str, code: str, hint: str
) -> None:
    block = (
        "log_level: info\nai_environments:\n  llm_profiles:\n    good: {model: m, key: 'env:G'}\n"
    )
    given = {"user": "", source: f"{block}    {text}\n"}
    loaded = load(given.pop("user"), WORD="canary", **given)
    [(name, wrong)] = loaded.wrong_profiles.items()
    place = {
        "user": "home/config/mahavishnu",
        "project": "settings/mahavishnu",
        "local": "settings/local",
    }
    assert name == text.partition(":")[0] and wrong.origin.endswith(f"{place[source]}.yaml")
    assert wrong.problem.code == code and hint in (wrong.problem.hint or "")
    assert f"{wrong.origin}:5" in wrong.problem.message
    assert "canary" not in f"{wrong.problem.message} {wrong.problem.hint}"
    assert set(loaded.settings.ai_environments.llm_profiles) == {"good"}
    assert loaded.settings.log_level == "info"
    assert not any(key.startswith("ai_environments.llm_profiles.work") for key in loaded.origins)


def test_no_member_of_a_wrong_profile_counts_whoever_gives_it(load: Load) -> None:
    right = profile(anthropic_base_url="https://mine.example", key="env:MINE")
    for wrong in (
        load(right, local=profile(api_timeout_ms="no")),
        load(right, local=profile(anthropic_base_url="'${UNSET}'")),
        load(profile(modle="x"), local=right),
        load(right, flags={"ai_environments.llm_profiles.work.modle": "x"}),
    ):
        assert wrong.settings.ai_environments.llm_profiles == {}
        assert set(wrong.wrong_profiles) == {"work"}


def test_a_name_with_a_dot_leaves_the_profile_before_the_dot_alone(load: Load) -> None:
    block = "ai_environments: {llm_profiles: {a: {model: m, key: 'env:A'}, %s}}"
    for text, wrong in (("a.b: 7", "a.b"), ("a.b: {}", "a.b"), ("a.api_timeout_ms: no", "a")):
        loaded = load(block % text)
        assert set(loaded.wrong_profiles) == {wrong}, text
        assert set(loaded.settings.ai_environments.llm_profiles) == {"a"} - {wrong}, text
    assert set(load("ai_environments: {llm_profiles: {a.modle: m}}").wrong_profiles) == {"a"}


def test_what_is_wrong_above_the_profiles_stops_all(load: Load) -> None:
    for text in ("llm_profiles: 5", "llm_profile: {work: {model: m}}"):
        with pytest.raises(UsageError):
            load(f"ai_environments: {{{text}}}")


def test_the_line_of_a_key_is_found_where_it_comes_from(load: Load) -> None:
    text = (
        "ai_environments:\n  llm_profiles:\n    base: &base\n      modle: x\n"
        "    one: {<<: *base}\n    two:\n      <<: [*base]\n      modle: y\n"
    )
    wrong = load(text).wrong_profiles
    lines = {name: each.problem.message.rpartition(":")[2] for name, each in wrong.items()}
    assert lines == {"base": "4.", "one": "4.", "two": "8."}


def test_a_star_stands_for_one_name() -> None:
    mine = find_legacy("ai_environments.llm_profiles.mine.anthropic_auth_token")
    assert mine is not None and mine.now == "ai_environments.llm_profiles.mine.key"
    assert find_legacy("ai_environments.llm_profiles.a.b.anthropic_auth_token") is None
    assert find_legacy("ai_environments.llm_profiles.mine.other") is None


def test_the_sources_variables_have_their_meaning() -> None:
    for name, key in {
        "MAHAVISHNU_PG_HOST": "postgresql.host",
        "MAHAVISHNU_PG_PORT": "postgresql.port",
        "MAHAVISHNU_PG_DATABASE": "postgresql.database",
        "MAHAVISHNU_PG_USER": "postgresql.user",
        "MAHAVISHNU_PG_PASSWORD": "postgresql.password",
        "OLLAMA_BASE_URL": "embedding.ollama_base_url",
        "OLLAMA_MODEL": "embedding.model",
    }.items():
        assert ENVIRONMENT[name] == key


@pytest.mark.parametrize(("name", "key"), ENVIRONMENT.items())
def test_every_variable_sets_its_key(load: Load, name: str, key: str) -> None:
    value = {
        "log_level": "ERROR", "postgresql.port": "6000", "postgresql.pool_size": "3",
        "postgresql.statement_timeout": "7.5", "postgresql.idle_timeout": "7.5",
        "embedding.provider": "ollama", "server.port": "9000", "sync.mirror.path": "~/some-value",
        "telemetry.enabled": "true", "telemetry.endpoint": "http://some-value",
    }.get(key, "some-value")  # fmt: skip
    found = lookup(load(**{name: value}).settings, key)
    assert str(found).lower() == value.lower()


def test_no_secret_shows_in_a_repr() -> None:
    secrets = {"dsn": "postgresql://u:w@h/d", "direct_dsn": "postgresql://u:w@h/e",
               "password": "hunter2"}  # fmt: skip
    environ = {
        "MAHAVISHNU_HOME": "/nowhere",
        "MAHAVISHNU_OPENAI_API_KEY": "sk-hunter3",
        "MAHAVISHNU_PG_HOST": "h",
        "MAHAVISHNU_PG_PASSWORD": "hunter2",
        "MAHAVISHNU_OPENAI_BASE_URL": "https://u:hunter4@h/v1",
    }
    loaded = load_settings(environ=environ, folder=Path("/"))
    assert loaded.settings.postgresql.password == "hunter2"
    shown = repr(loaded) + repr(loaded.settings) + str(loaded.origins)
    assert "hunter" not in shown and "password=***" in shown
    postgresql = type(loaded.settings.postgresql)(**secrets)  # type: ignore[arg-type]
    assert "hunter2" not in repr(postgresql) and ":w@" not in repr(postgresql)


def test_values_are_shown_without_their_secrets() -> None:
    for key in SECRET_KEYS:
        assert shown_value(key, "hunter2") == "***" and shown_value(key, None) is None
    for key in ADDRESS_KEYS:
        assert shown_value(key, "postgresql://u:hunter2@h/d") == "postgresql://u:***@h/d"
        assert shown_value(key, None) is None
    for key in URL_KEYS:
        assert shown_value(key, "http://u:hunter2@h/v1") == "http://***@h/v1"
        assert shown_value(key, None) is None
    assert shown_value("postgresql.host", "h") == "h"


def test_every_setting_says_what_it_is() -> None:
    described = {key: (kind, text) for key, kind, _, text in describe_settings()}
    assert tuple(described) == setting_keys()
    for key, (kind, text) in described.items():
        assert kind and text.endswith("."), key
    assert described["postgresql.port"][0].startswith("whole number at least 1, at most 65535")
    assert "`debug`" in described["log_level"][0]
