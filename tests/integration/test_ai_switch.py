"""What a switch does to clients' settings, what it refuses, and what it gives back."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.clients.requests import LOCAL_HOSTS
from mahavishnu.ai.clients.session_files import find_registered
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.profiles.presets import SHIPPED
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.port import as_key
from mahavishnu.ai.secrets.reference import Reference, parse_reference
from mahavishnu.ai.switching import apply, switch
from mahavishnu.ai.switching.moving import find_move, move_key
from mahavishnu.ai.switching.proxies import proxy_notes
from mahavishnu.ai.switching.site import ClientChoice
from mahavishnu.ai.switching.status import look
from mahavishnu.ai.switching.switch import SwitchOptions, plan_switch
from mahavishnu.ai.switching.undo import undo
from mahavishnu.base.errors import Conflict, MahavishnuError
from mahavishnu.base.masking import Secret
from mahavishnu.base.processes import process_start_time
from mahavishnu.operations.ai.switching import naming_others
from tests.support.kept_secrets import PGP_HEAD, private, seal, stand_ins
from tests.support.switching import (
    CLAUDE,
    KEYS,
    ONE,
    TWO,
    everything,
    install,
    refused,
    site_in,
    switch_to,
    values,
)

FOREIGN = "sk-canary-of-the-user-42"
SHORT = "another-canary"


def run_session(home: Path, folder: str, **about: object) -> None:
    """Let this process be a session of a client."""
    path = home / folder / "sessions" / f"{os.getpid()}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(about))


# Which clients


def test_only_clients_that_are_there_are_switched_and_none_is_made(tmp_path: Path) -> None:
    (tmp_path / ".codex").mkdir()
    done = switch_to(site_in(tmp_path), ONE)
    assert [file.name for file in done.plan.files] == ["codex"]
    assert {each.client for each in done.plan.unchanged} == {"claude-code", "qwen"}
    assert not (tmp_path / ".claude").exists() and not (tmp_path / ".qwen").exists()
    statuses = look(site_in(tmp_path), {"claude": CLAUDE}, site_in(tmp_path).journal.read())
    assert [(each.installed, each.profile) for each in statuses] == [
        (False, None), (True, None), (False, None)
    ]  # fmt: skip
    error = refused(site_in(tmp_path), ONE, "qwen")
    assert error.code == "ai.client_missing" and not (tmp_path / ".qwen").exists()


def test_no_client_at_all_is_an_error_and_writes_nothing(tmp_path: Path) -> None:
    assert refused(site_in(tmp_path), ONE).code == "ai.no_client"
    assert everything(tmp_path) == {}


def test_a_program_on_the_path_is_enough(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text("")
    program.chmod(0o755)
    site = site_in(tmp_path, environ={"PATH": str(program.parent)})
    switch_to(site, ONE, "claude-code")
    path = tmp_path / ".claude/settings.json"
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700


def test_a_client_that_is_switched_off_is_left_alone(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = replace(site_in(tmp_path), clients={"codex": ClientChoice(enabled=False)})
    done = switch_to(site, ONE)
    assert "codex" in {each.client for each in done.plan.unchanged}
    assert not paths["codex"].exists()
    assert refused(site, TWO, "codex").code == "ai.client_disabled"


def test_places_of_settings_are_those_that_the_clients_use(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    (tmp_path / "x").mkdir()
    (tmp_path / "q").mkdir()
    environ = {"CLAUDE_CONFIG_DIR": str(tmp_path / "c"), "CODEX_HOME": str(tmp_path / "x")}
    site = replace(
        site_in(tmp_path, environ=environ),
        clients={"qwen": ClientChoice(path=tmp_path / "q" / "mine.json")},
    )
    switch_to(site, ONE)
    assert values(tmp_path / "c/settings.json")["env"] and values(tmp_path / "x/config.toml")
    assert values(tmp_path / "q/mine.json")["model"] == {"name": "one-large"}


def test_claude_code_reaches_openai_only_by_a_gateway(tmp_path: Path) -> None:
    install(tmp_path)
    openai = replace(ONE, endpoints={"openai-responses": "https://one.example/v1"})
    error = refused(site_in(tmp_path), openai, "claude-code")
    assert error.code == "ai.unsuitable_profile" and "gateway" in error.message
    done = switch_to(site_in(tmp_path), openai)
    reasons = {each.client: each.reason for each in done.plan.unchanged}
    assert "gateway" in reasons["claude-code"] and "protocol" in reasons["qwen"]


def test_a_profile_of_one_client_and_one_without_a_model(tmp_path: Path) -> None:
    install(tmp_path)
    site = site_in(tmp_path)
    done = switch_to(site, replace(ONE, clients=frozenset({"codex"})))
    assert [file.name for file in done.plan.files] == ["codex"]
    done = switch_to(site, replace(ONE, model=None))
    assert "names no model" in {e.client: e.reason for e in done.plan.unchanged}["qwen"]


def test_below_its_root_a_project_is_switched_as_a_whole(tmp_path: Path) -> None:
    """It is found as for `ai settings`: up to the root of the repository."""
    install(tmp_path)
    (tmp_path / "project/.git").mkdir(parents=True)
    below = tmp_path / "project/src/deep"
    below.mkdir(parents=True)
    switch_to(replace(site_in(tmp_path), folder=below), ONE, scope="project")
    assert (tmp_path / "project/.claude/settings.local.json").exists()
    assert not (below / ".claude").exists()
    refusal = refused(replace(site_in(tmp_path), folder=tmp_path), ONE, scope="project")
    assert refusal.code == "ai.no_project"


def test_a_project_gets_its_settings_for_claude_code_alone(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    done = switch_to(site, ONE, scope="project")
    assert {each.client for each in done.plan.unchanged} == {"codex", "qwen"}
    says = values(tmp_path / "project/.claude/settings.local.json")
    assert says["env"]["ANTHROPIC_BASE_URL"] == ONE.endpoints["anthropic"]
    assert says["apiKeyHelper"] == (
        "ANTHROPIC_BASE_URL=https://one.example "
        "/opt/bin/mahavishnu-key env:ONE_KEY --for https://one.example"
    )
    assert not paths["claude-code"].exists()
    assert refused(site, ONE, scope="project", write_key=True).code == "ai.key_in_project"
    assert refused(site, ONE, "codex", scope="project").code == "ai.unsuitable_profile"
    statuses = look(site, {"one": ONE}, site.journal.read())
    assert [(each.scope, each.profile) for each in statuses][:2] == [
        ("user", None), ("project", "one")
    ]  # fmt: skip


# Addresses and keys


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://user:secret-canary@one.example", "secret.endpoint"),
        ("http://one.example", "secret.insecure_endpoint"),
        ("https://one.example/?key=secret-canary", "secret.endpoint"),
    ],
)
@pytest.mark.parametrize("wishes", [{}, {"write_key": True}])
def test_an_address_that_no_key_may_go_to_is_refused(
    tmp_path: Path, url: str, code: str, wishes: dict[str, bool]
) -> None:
    install(tmp_path)
    for client, protocol in (("claude-code", "anthropic"), ("qwen", "openai-chat")):
        profile = replace(ONE, endpoints={protocol: url})  # type: ignore[dict-item]
        error = refused(site_in(tmp_path), profile, client, **wishes)  # type: ignore[arg-type]
        assert error.code == code and "canary" not in f"{error.message}{error.hint}"
    assert everything(tmp_path) == {}


def test_a_missing_key_is_an_error_unless_it_may_be(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path, environ={"ONE_KEY": ""})
    assert refused(site, ONE).code == "secret.missing"
    assert not any(path.exists() for path in paths.values())
    switch_to(site, ONE, allow_missing_key=True)
    assert values(paths["qwen"])["env"] == {"ONE_KEY": "none"}
    assert refused(site, ONE, allow_missing_key=True, write_key=True).code == "secret.missing"


@pytest.mark.parametrize(
    ("reference", "code"),
    [
        ("file:/nonexistent/keys.gpg#X", "secret.missing"),
        ("file:{}/open.gpg#X", "secret.plaintext"),
        ("file:{}/readable.gpg#X", "secret.exposed"),
        ("keyring:mahavishnu/none", "secret."),
    ],
)
def test_a_key_in_a_store_that_is_not_there_is_an_error_too(
    tmp_path: Path, reference: str, code: str
) -> None:
    paths = install(tmp_path)
    for name, mode in (("open", 0o600), ("readable", 0o644)):
        (tmp_path / f"{name}.gpg").write_text("X=sk-canary")
        (tmp_path / f"{name}.gpg").chmod(mode)
    profile = replace(ONE, key=parse_reference(reference.format(tmp_path)))
    assert refused(site_in(tmp_path), profile).code.startswith(code)
    assert not any(path.exists() for path in paths.values())


def test_an_entry_that_an_encrypted_file_lacks_stops_the_switch(tmp_path: Path) -> None:
    paths = install(tmp_path)
    private(tmp_path / "age", "AGE-SECRET-KEY-CANARY\n")
    sealed = seal(tmp_path / "keys.age", "HERE=sk-canary\n")
    site = site_in(tmp_path, environ=stand_ins(tmp_path / "bin") | {"HOME": str(tmp_path)})
    lacking = replace(ONE, key=parse_reference(f"file:{sealed}#ABSENT"))
    error = refused(site, lacking)
    assert error.code == "secret.missing" and "#ABSENT" in error.message
    assert not any(path.exists() for path in paths.values())
    switch_to(site, lacking, "codex", allow_missing_key=True)
    there = replace(ONE, key=parse_reference(f"file:{sealed}#HERE"))
    assert not any("not known" in note for note in switch_to(site, there).plan.notes)


def test_a_file_that_asks_for_a_passphrase_stops_no_switch_and_asks_nobody(tmp_path: Path) -> None:
    install(tmp_path)
    sealed = seal(tmp_path / "keys.gpg", "HERE=sk-canary\n", head=PGP_HEAD)
    script = 'echo "$@" > "$HOME/words"; exit 2'
    environ = stand_ins(tmp_path / "bin", gpg=script) | {"HOME": str(tmp_path)}
    locked = replace(ONE, key=parse_reference(f"file:{sealed}#HERE"))
    done = switch_to(site_in(tmp_path, environ=environ), locked, "codex")
    [note] = [each for each in done.plan.notes if "is not known" in each]
    assert str(locked.key) in note and "mahavishnu ai verify one" in note
    assert "--pinentry-mode error" in (tmp_path / "words").read_text()


def test_a_store_is_asked_once_where_one_client_stands_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may ask the user to unlock it, and who could be switched alone does not depend on it."""
    install(tmp_path, claude_code='{"env": 1}')
    site = site_in(tmp_path)
    asked: list[object] = []
    monkeypatch.setattr(switch, "find_doubt", lambda key, **_: asked.append(key))
    with pytest.raises(MahavishnuError) as caught, naming_others(site, ONE, SwitchOptions()):
        switch_to(site, ONE)
    assert "--client codex --client qwen" in str(caught.value.hint) and len(asked) == 1


def test_a_file_with_a_raw_key_is_never_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = install(tmp_path, claude_code="{}", codex="", qwen="{}")
    for path in paths.values():
        path.chmod(0o664)
    monkeypatch.setattr(apply, "close_modes", lambda *_: None)
    switch_to(site_in(tmp_path), ONE, write_key=True)
    assert {path.stat().st_mode & 0o777 for path in paths.values()} == {0o600}


def test_what_a_switch_writes_is_its_owners_alone_until_its_undo(tmp_path: Path) -> None:
    paths = install(tmp_path, claude_code="{}", codex="", qwen="{}")
    for path in paths.values():
        path.parent.chmod(0o755)
        path.chmod(0o664)
    site = site_in(tmp_path)

    def modes() -> set[tuple[int, int]]:
        found = [(each.parent.stat(), each.stat()) for each in paths.values()]
        return {(a.st_mode & 0o777, b.st_mode & 0o777) for a, b in found}

    done = switch_to(site, ONE)
    assert modes() == {(0o700, 0o600)}
    assert sum(f"{each} (0664)" in n for each in paths.values() for n in done.plan.notes) == 3
    switch_to(site, TWO, write_key=True)
    undo(site)
    assert modes() == {(0o700, 0o600)}
    undo(site)
    assert modes() == {(0o755, 0o664)}


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("claude-code", json.dumps({"env": {"ANTHROPIC_AUTH_TOKEN": SHORT}})),
        ("claude-code", json.dumps({"env": {"ANTHROPIC_API_KEY": SHORT}})),
        ("claude-code", json.dumps({"env": {"ANTHROPIC_CUSTOM_HEADERS": f"X-Key: {SHORT}"}})),
        ("claude-code", json.dumps({"apiKeyHelper": f"echo {FOREIGN}"})),
        ("claude-code", json.dumps({"apiKeyHelper": "echo short-canary"})),
        (
            "claude-code",
            json.dumps({"apiKeyHelper": "curl -su me:pw-canary https://vault.example"}),
        ),
        (
            "claude-code",
            json.dumps({"env": {"ANTHROPIC_BASE_URL": f"https://u:{SHORT}@x.example"}}),
        ),
        ("codex", f'[model_providers.mahavishnu]\nexperimental_bearer_token = "{SHORT}"\n'),
        ("codex", f'[model_providers.mahavishnu.http_headers]\nX-Key = "{SHORT}"\n'),
        (
            "codex",
            '[model_providers.mahavishnu.auth]\ncommand = "echo"\nargs = ["short-canary"]\n',
        ),
    ],
)
def test_a_key_of_the_user_is_neither_copied_nor_lost(
    tmp_path: Path, client: ClientName, text: str
) -> None:
    path = install(tmp_path, **{client.replace("-", "_"): text})[client]
    site = site_in(tmp_path)
    error = refused(site, ONE)
    assert error.code == "ai.plain_key" and path.read_text() == text
    assert "canary" not in f"{error.message} {error.hint}"
    assert refused(site, ONE, overwrite=True).code == "ai.plain_key"
    assert "canary" not in repr(plan_switch(site, ONE, SwitchOptions()).profile)
    done = switch_to(site, ONE, client, forget_keys=True)
    assert done.entry and done.entry.lost
    back = undo(site)
    assert back.lost == done.entry.lost
    says = path.read_text()
    assert "canary" not in site.journal.path.read_text() and "canary" not in says
    assert "***" not in says
    # Without its key the user's address must not get the client's own sign-in; a header may be missing.
    assert ("none" in says) != ("HEADERS" in text)


SAMPLE = json.dumps(
    {
        "env": {
            "ANTHROPIC_BASE_URL": "https://api.z.ai/api/anthropic",
            "ANTHROPIC_AUTH_TOKEN": FOREIGN,
            "API_TIMEOUT_MS": "3000000",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": 1,
        }
    }
)


@pytest.mark.parametrize("profile", [ONE, CLAUDE])
def test_a_key_in_plain_text_is_moved_with_the_switch(tmp_path: Path, profile: Profile) -> None:
    path = install(tmp_path, claude_code=SAMPLE)["claude-code"]
    path.chmod(0o644)
    site = site_in(tmp_path, environ={"MINE": FOREIGN, "OTHER": "sk-canary-another-0003"})
    error = refused(site, profile, "claude-code")
    assert error.code == "ai.plain_key" and "--move-key" in str(error.hint)
    for place, code in (
        ("env:NOT", "secret.missing"),
        ("env:OTHER", "ai.move_other"),
        ("file:~/none.gpg#X", "secret.missing"),
        ("bogus", "secret.reference"),
        ("keyring:", "secret.reference"),
    ):
        error = refused(site, profile, "claude-code", move_key=place)
        assert error.code == code and "--to" not in str(error.hint)
        with pytest.raises(MahavishnuError) as planned:
            plan_switch(site, profile, SwitchOptions(clients=["claude-code"], move_key=place))
        assert (planned.value.message, planned.value.hint) == (error.message, error.hint)
        assert path.read_text() == SAMPLE
    done = switch_to(site, profile, "claude-code", move_key="env:MINE")
    assert FOREIGN not in path.read_text() + site.journal.path.read_text()
    assert done.entry is not None and not done.entry.lost
    assert any("env:MINE" in note for note in done.plan.notes)
    assert any("stays so, as undo brings a key back" in note for note in done.plan.notes)
    # Undo does not lose it for good where it cannot be read just now.
    written = path.read_text()
    with pytest.raises(MahavishnuError) as away:
        undo(site_in(tmp_path, environ={"MINE": ""}))
    assert away.value.code == "ai.key_away" and "env:MINE" in away.value.message
    assert path.read_text() == written
    assert not undo(site).lost
    assert path.read_text() == SAMPLE and path.stat().st_mode & 0o077 == 0


PROXY = {"HTTP_PROXY": "http://proxy.example:3128"}


@pytest.mark.parametrize(
    ("environ", "settings", "told"),
    [
        ({}, {}, []),
        (PROXY, {}, ["Claude Code", "Codex", "Qwen Code"]),
        ({**PROXY, "NO_PROXY": ",".join(LOCAL_HOSTS)}, {}, []),
        # Claude Code puts its settings before what is exported, Qwen Code after it.
        ({**PROXY, "NO_PROXY": "127.0.0.1"}, {"NO_PROXY": "x"}, ["Claude Code"]),
        ({}, PROXY, ["Claude Code", "Qwen Code"]),
    ],
)
def test_a_switch_says_where_a_proxy_keeps_the_key_away(
    tmp_path: Path, environ: dict[str, str], settings: dict[str, str], told: list[str]
) -> None:
    text = json.dumps({"env": settings})
    install(tmp_path, claude_code=text, qwen=text)
    local = replace(ONE, endpoints=dict.fromkeys(ONE.endpoints, "http://127.0.0.1:9"))
    site = site_in(tmp_path, environ=environ)
    notes = switch_to(site, local).plan.notes
    found = [each for each in notes if "would go through the proxy" in each]
    assert [each.partition(":")[0] for each in found] == told
    assert ["mahavishnu-key gives no key" in each for each in found] == [
        name != "Qwen Code" for name in told
    ]
    assert list(proxy_notes(site, local)) == found
    assert not list(proxy_notes(site, ONE))


def test_a_switch_says_where_a_project_leads_the_key_to_a_proxy(tmp_path: Path) -> None:
    install(tmp_path)
    path = tmp_path / "project/.claude/settings.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"env": {"no_proxy": ""}}))
    local = replace(ONE, endpoints={"anthropic": "http://127.0.0.1:9"})
    site = site_in(tmp_path, environ={**PROXY, "NO_PROXY": "127.0.0.1"})
    [note] = proxy_notes(site, replace(local, clients=frozenset({"claude-code"})))
    assert str(path) in note and "mahavishnu-key gives no key" in note


def test_a_key_that_is_no_text_is_not_moved(tmp_path: Path) -> None:
    text = json.dumps({"env": {"ANTHROPIC_AUTH_TOKEN": 9876543210987654}})
    path = install(tmp_path, claude_code=text)["claude-code"]
    site = site_in(tmp_path, environ={"MINE": FOREIGN})
    assert refused(site, ONE, "claude-code", move_key="env:MINE").code == "ai.plain_key"
    assert path.read_text() == text


def test_a_key_in_plain_text_goes_into_the_keyring_before_it_goes_away(tmp_path: Path) -> None:
    install(tmp_path, claude_code=SAMPLE)
    site = site_in(tmp_path)
    kept = KeptInMemory()
    plan = plan_switch(site, ONE, SwitchOptions(clients=["claude-code"]))
    place = Reference("keyring", "mahavishnu", "claude-code")
    kept.keys = {place: "sk-canary-another-0003"}
    with pytest.raises(Conflict) as full:
        move_key(site, plan, "keyring:mahavishnu", keyring=lambda: kept)
    assert full.value.hint == "Choose another place: --move-key keyring:mahavishnu/OTHER"
    kept.keys = {}
    assert find_move(site, plan, "keyring:mahavishnu", keyring=lambda: kept) and not kept.keys
    reference = move_key(site, plan, "keyring:mahavishnu", keyring=lambda: kept)
    assert str(reference) == "keyring:mahavishnu/claude-code"
    assert kept.keys == {reference: FOREIGN}
    install(tmp_path, claude_code="{}")
    assert switch_to(site, ONE, "claude-code", move_key="keyring:mahavishnu").entry, "none to move"


class KeptInMemory:
    """A keyring of the test's own."""

    def __init__(self) -> None:
        self.keys: dict[Reference, str] = {}

    def read(self, reference: Reference) -> Secret:
        """Return the key."""
        return as_key(self.keys.get(reference), reference, hint="")

    def write(self, reference: Reference, secret: Secret) -> None:
        """Keep the key."""
        self.keys[reference] = secret.reveal()


def test_names_of_models_and_addresses_with_ids_are_no_keys(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    gateway = "https://gw.example/v1/0123456789abcdef0123456789abcdef/x"
    odd = replace(
        ONE,
        name="odd",
        model="Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8",
        small_model="org/0123456789abcdef0123456789abcdef",
        endpoints=dict.fromkeys(ONE.endpoints, gateway),
    )
    switch_to(site, odd)
    before = {path: path.read_text() for path in paths.values()}
    switch_to(site, TWO)
    assert not undo(site).lost
    assert {path: path.read_text() for path in paths.values()} == before


def test_a_helper_of_the_user_without_a_key_comes_back(tmp_path: Path) -> None:
    text = '{"apiKeyHelper": "/usr/local/bin/give-token --corp", "env": {"ANTHROPIC_BASE_URL": "https://corp.example"}}'
    path = install(tmp_path, claude_code=text)["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    undo(site)
    assert path.read_text() == text


def test_a_raw_key_comes_back_where_it_can_be_had_and_is_in_no_journal(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, write_key=True)
    texts = {name: path.read_text() for name, path in paths.items()}
    assert all(KEYS["ONE_KEY"] in text for text in texts.values())
    switch_to(site, TWO)
    assert not any(KEYS["ONE_KEY"] in path.read_text() for path in paths.values())
    undo(site)
    assert {name: path.read_text() for name, path in paths.items()} == texts
    switch_to(site, TWO)
    later = replace(site, environ={**site.environ, "ONE_KEY": "sk-rotated-canary-77"})
    done = undo(later)
    assert set(done.entry.lost) >= {"env.ANTHROPIC_AUTH_TOKEN", "model_providers.mahavishnu"}
    for path in paths.values():
        assert "canary" not in path.read_text()
    assert "canary" not in site.journal.path.read_text()


# Running sessions


def test_a_running_session_of_claude_code_sees_variables_emptied_before_they_go(
    tmp_path: Path,
) -> None:
    path = install(tmp_path, claude_code='{"a": 1}')["claude-code"]
    seen: list[dict[str, Any]] = []
    site = replace(
        site_in(tmp_path), pause=lambda seconds: seen.append({**values(path), "s": seconds})
    )
    switch_to(site, ONE, "claude-code")
    assert seen == []
    run_session(tmp_path, ".claude")
    undo(site)
    (between,) = seen
    assert set(between["env"].values()) == {""} and "apiKeyHelper" not in between
    assert between["s"] == 2.5 and path.read_text() == '{"a": 1}'


def test_a_session_counts_only_while_its_very_process_runs(tmp_path: Path) -> None:
    install(tmp_path)
    folder = tmp_path / ".claude"
    started = str(process_start_time(os.getpid())).rpartition(":")[2]
    assert find_registered(folder) == ()
    run_session(tmp_path, ".claude", cwd="/project", procStart=started)
    assert [(each.process.pid, each.folder) for each in find_registered(folder)] == [
        (os.getpid(), "/project")
    ]
    run_session(tmp_path, ".claude", procStart=f"1{started}")
    assert find_registered(folder) == ()
    (folder / "sessions" / "99999999.json").write_text("{}")
    (folder / "sessions" / "notes.json").write_text("{}")
    assert find_registered(folder) == ()


def test_the_address_of_a_model_is_not_changed_under_a_running_session_of_qwen_code(
    tmp_path: Path,
) -> None:
    path = install(tmp_path)["qwen"]
    site = site_in(tmp_path)
    moved = replace(TWO, model=ONE.model)
    switch_to(site, ONE, "qwen")
    run_session(tmp_path, ".qwen")
    before = path.read_text()
    error = refused(site, moved, "qwen")
    assert error.code == "ai.session_running" and path.read_text() == before
    switch_to(site, TWO, "qwen")
    assert [each["name"] for each in values(path)["modelProviders"]["openai"]] == [
        "Mahavishnu: one",
        "Mahavishnu: two",
    ]
    for session in (tmp_path / ".qwen/sessions").iterdir():
        session.unlink()
    switch_to(site, moved, "qwen")
    assert [each["baseUrl"] for each in values(path)["modelProviders"]["openai"]] == [
        TWO.endpoints["openai-chat"]
    ]
    run_session(tmp_path, ".qwen")
    with pytest.raises(MahavishnuError) as caught:
        undo(site)
    assert caught.value.code == "ai.session_running"


def test_a_model_of_the_users_own_list_is_not_shadowed(tmp_path: Path) -> None:
    text = (
        '{"modelProviders": {"openai": [{"id": "one-large", "baseUrl": "https://mine.example"}]}}'
    )
    path = install(tmp_path, qwen=text)["qwen"]
    assert refused(site_in(tmp_path), ONE, "qwen").code == "ai.model_taken"
    assert path.read_text() == text


def test_a_variable_of_the_user_in_qwens_settings_stays(tmp_path: Path) -> None:
    path = install(tmp_path, qwen=json.dumps({"env": {"ONE_KEY": FOREIGN}}))["qwen"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "qwen")
    assert values(path)["env"] == {"ONE_KEY": FOREIGN}
    assert FOREIGN not in site.journal.path.read_text()
    undo(site)
    assert refused(site, ONE, "qwen", write_key=True).code == "ai.plain_key"


def test_a_slow_reference_names_a_variable_that_only_a_launch_sets(tmp_path: Path) -> None:
    path = install(tmp_path)["qwen"]
    stored = replace(ONE, name="my-one", key=parse_reference("keyring:mahavishnu/one"))
    done = switch_to(site_in(tmp_path), stored, "qwen", allow_missing_key=True)
    assert values(path)["env"] == {"MAHAVISHNU_KEY_MY_ONE": "none"}
    assert any("ai run my-one -- qwen" in note for note in done.plan.notes)


# Files as they must not be


@pytest.mark.parametrize(
    ("client", "text"),
    [
        ("claude-code", '{"hooks": {"PreToolUse": "x"}}'),
        ("claude-code", '{"permissions": {"deny": "Bash"}}'),
        ("claude-code", '{"permissions": {"defaultMode": 5}}'),
        ("claude-code", '{"enabledPlugins": {"a@b": "x"}}'),
        ("claude-code", '{"statusLine": {"type": "command"}}'),
        ("claude-code", '{"verbose": "yes"}'),
        ("claude-code", '{"env": []}'),
        ("claude-code", '{"env": {"A": {}}}'),
        ("claude-code", '{"apiKeyHelper": null}'),
        ("codex", "model = 1\n"),
        ("codex", "model_providers = 1\n"),
        ("qwen", '{"modelProviders": {"openai": {}}}'),
        ("qwen", '{"security": "x"}'),
    ],
)
def test_a_file_of_which_the_client_would_take_nothing_is_refused(
    tmp_path: Path, client: ClientName, text: str
) -> None:
    path = install(tmp_path, **{client.replace("-", "_"): text})[client]
    error = refused(site_in(tmp_path), ONE, client)
    assert error.code == "document.rejected" and str(path) in error.message
    assert path.read_text() == text


def test_every_shipped_profile_fits_a_client() -> None:
    for profile in SHIPPED.values():
        fits = [name for name in CLIENTS if profile.protocol_for(name)]
        assert fits, profile.name


def test_a_client_that_is_named_twice_is_switched_once(tmp_path: Path) -> None:
    install(tmp_path)
    done = switch_to(site_in(tmp_path), ONE, "codex", "codex")
    assert [file.name for file in done.plan.files] == ["codex"]
    assert done.entry is not None and [file.client for file in done.entry.files] == ["codex"]
