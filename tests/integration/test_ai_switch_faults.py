"""A switch while writes fail, processes are killed and a client writes: all of it stands, or nothing."""

import errno
import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents import ABSENT, Document, same_value
from mahavishnu.ai.foreign_files.merge import merge
from mahavishnu.ai.profiles.delivery import choose_mode, deliver
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching.apply import records_of
from mahavishnu.ai.switching.journal import FileRecord, History, Journal, JournalEntry, Record
from mahavishnu.ai.switching.plan import SettingsPlace, plan_file
from mahavishnu.ai.switching.reversal import reverse
from mahavishnu.ai.switching.undo import undo
from mahavishnu.base.errors import Conflict, MahavishnuError
from mahavishnu.base.identifiers import new_id
from mahavishnu.base.masking import Secret
from tests.support.ai_files import QUICK, at_step, check_client_keys, noted_exchanges, read_turns
from tests.support.documents import Kinds, foreign_json, foreign_toml, strict_json
from tests.support.parts import draw_part
from tests.support.switching import CLAUDE, CODEX, KEYS, ONE, TWO, install, site_in, switch_to
from tests.support.switching_killed import CODE, SCENARIOS, contents, prepare, settle_in

ROOT = Path(__file__).parent.parent.parent
WRITES = 1500
EXAMPLES: dict[ClientName, int] = {"claude-code": 2000, "codex": 2000, "qwen": 6000}
# Where another kind of value would make the client refuse the file.
KINDS: dict[ClientName, Kinds] = {
    "claude-code": {("env",): "texts", ("model",): "text", ("permissions",): "object"},
    "codex": {("model",): "text", ("model_providers",): "object"},
    "qwen": {
        ("env",): "object", ("model",): "object", ("security",): "object",
        ("modelProviders",): "object", ("modelProviders", "openai"): "list",
    },
}  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_killed_at_any_step_the_next_command_settles_it(tmp_path: Path, scenario: str) -> None:
    part = draw_part(*CODE)
    words = (tmp_path, scenario, str(part.number), str(part.of))
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.switching_killed", *words],
        cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True,
    )  # fmt: skip
    seen = json.loads(done.stdout)
    assert seen["steps"] > 100 and seen["new"] > part.share(5)
    assert seen["old"] > part.share(20) and seen["between"] > part.share(20)


@pytest.mark.parametrize(
    ("number", "scenario"),
    [(errno.ENOSPC, "raw keys"), (errno.EACCES, "raw keys"), (errno.ENOSPC, "new files")],
)
def test_whatever_step_fails_all_files_are_old_or_all_are_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, scenario: str
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    site = prepare(tmp_path / "home", scenario)
    shutil.copytree(tmp_path / "home", tmp_path / "kept")
    old = contents(tmp_path / "home")
    switch_to(site, ONE)
    new = contents(tmp_path / "home")

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    outcomes: Counter[str] = Counter()
    part = draw_part(*CODE)
    for step in part.steps(3000):
        shutil.rmtree(tmp_path / "home")
        shutil.copytree(tmp_path / "kept", tmp_path / "home")
        code = "done"
        with at_step(step, fail) as steps:
            try:
                switch_to(site, ONE)
            except (MahavishnuError, OSError) as error:
                code = getattr(error, "code", "system")
        found = contents(tmp_path / "home")
        assert found == (new if code == "done" else old), (step, code)
        outcomes[code] += 1
        settle_in(site)
        assert contents(tmp_path / "home") == found and not site.journal.read().open
        if steps[0] < step:
            break
    wanted = "ai_files.disk_full" if number == errno.ENOSPC else "ai_files.not_writable"
    assert outcomes[wanted] > part.share(30) and outcomes["done"] >= 1, outcomes


def test_files_that_a_switch_made_go_with_it(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    for profile in (ONE, TWO):
        switch_to(site, profile)
    undo(site)
    assert all(path.exists() for path in paths.values())
    undo(site)
    assert [list(path.parent.iterdir()) for path in paths.values()] == [[], [], []]


def test_files_that_a_switch_made_stay_with_what_others_wrote(tmp_path: Path) -> None:
    paths = install(tmp_path, qwen="{}")
    site = site_in(tmp_path)
    switch_to(site, ONE)
    claude, codex, qwen = paths["claude-code"], paths["codex"], paths["qwen"]
    claude.write_text(claude.read_text().replace("{", '{"theirs": 1,', 1))
    codex.write_text(f"# mine\n{codex.read_text()}")
    undo(site)
    assert strict_json(claude.read_bytes()) == {"theirs": 1}
    assert codex.read_text() == "# mine\n"
    assert qwen.read_text() == "{}"  # was there, with as little in it


def test_a_journal_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    """It does not say who made a file: that one stays, emptied."""
    path = install(tmp_path)["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    text = site.journal.path.read_text()
    assert '"new":true' in text
    site.journal.path.write_text(text.replace(',"new":true', ""))
    undo(site)
    assert strict_json(path.read_bytes()) == {}


def test_a_line_that_was_not_ended_counts_as_never_written(tmp_path: Path) -> None:
    install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    whole = site.journal.path.read_bytes()
    begin = whole.rindex(b"\n", 0, -1) + 1
    for cut in (begin + 1, begin + 20, len(whole) - 1):
        site.journal.path.write_bytes(whole[:cut])
        assert len(site.journal.read().open) == 1
        assert settle_in(site) == ("The interrupted switch to one was complete, and stands.",)
        assert site.journal.path.read_bytes() == whole


@pytest.mark.parametrize("still_there", [True, False])
@pytest.mark.parametrize("clients", [("claude-code",), ("claude-code", "codex")])
def test_an_interrupted_switch_of_a_broken_file_holds_up_no_other_client(
    tmp_path: Path, clients: tuple[ClientName, ...], still_there: bool
) -> None:
    paths = install(tmp_path, codex="x = 1\n")
    site = site_in(tmp_path)
    switch_to(site, ONE, *clients)
    intended = site.journal.path.read_bytes().splitlines(keepends=True)[0]
    site.journal.path.write_bytes(intended)
    whole = paths["claude-code"].read_bytes()
    paths["claude-code"].write_text('{"env": ')
    os.utime(paths["claude-code"], (1, 1))
    done = switch_to(site, TWO, "codex")
    assert done.entry and "stays open" in done.settled[0] and str(tmp_path) in done.settled[0]
    assert undo(site).switch.id == done.entry.id
    assert paths["codex"].read_text() == "x = 1\n"
    with pytest.raises(MahavishnuError) as caught:
        switch_to(site, TWO, "claude-code")
    assert caught.value.code == "document.torn"
    # The same again for the other one, which is now no part of what was interrupted.
    switch_to(site, ONE, "codex")
    codex = paths["codex"].read_bytes()
    paths["claude-code"].write_bytes(whole if still_there else b"")
    os.utime(paths["claude-code"], (1, 1))
    [said] = settle_in(site)
    assert said.endswith("stands." if still_there else "was taken back.")
    assert paths["codex"].read_bytes() == codex and not site.journal.read().open


@pytest.mark.parametrize("lost", [False, True])
def test_what_an_interrupted_undo_left_can_still_be_taken_back(tmp_path: Path, lost: bool) -> None:
    """One of two files stays undone: the other's settings from before are not forgotten with it."""
    paths = install(tmp_path, claude_code='{"a": 1}', codex='model = "mine"\n')
    site = site_in(tmp_path)
    switch_to(site, TWO, "claude-code", "codex", write_key=True)
    switched = paths["codex"].read_bytes()
    undo(site)
    lines = site.journal.path.read_bytes().splitlines(keepends=True)
    site.journal.path.write_bytes(b"".join(lines[:-1]))
    if lost:  # killed between the files, and the key of the first cannot be had again
        paths["codex"].write_bytes(switched)
        site = replace(site, environ={**site.environ, "TWO_KEY": ""})
        assert settle_in(site) == ("The interrupted undo to two stands for claude-code alone.",)
    else:
        whole = paths["claude-code"].read_bytes()
        for text in (b'{"env": ', whole):
            paths["claude-code"].write_bytes(text)
            os.utime(paths["claude-code"], (1, 1))
            settle_in(site)
    assert paths["claude-code"].read_text() == '{"a": 1}'
    history = site.journal.read()
    assert not history.open and not history.undone
    [left] = history.in_effect
    assert [file.client for file in left.files] == ["codex"]
    assert undo(site, left.id.hex[-8:]).switch == left
    assert paths["codex"].read_text() == 'model = "mine"\n'
    assert not site.journal.read().in_effect and site.journal.read().undone == {left.id}


@pytest.mark.parametrize("of_an_undo", [False, True])
def test_undo_after_an_interruption_takes_back_one_switch(tmp_path: Path, of_an_undo: bool) -> None:
    """Killed between its files, the last command is ended by being taken back: that is the one."""
    paths = install(tmp_path, claude_code='{"a": 1}', codex='model = "mine"\n')
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code", "codex")
    before = {name: path.read_bytes() for name, path in paths.items() if path.exists()}
    switched = switch_to(site, TWO, "claude-code", "codex").entry
    if of_an_undo:
        undo(site)
    lines = site.journal.path.read_bytes().splitlines(keepends=True)
    site.journal.path.write_bytes(b"".join(lines[:-1]))
    if not of_an_undo:
        paths["codex"].write_bytes(before["codex"])
    done = undo(site)
    assert switched is not None and done.switch.id == switched.id
    assert done.clients == ("claude-code", "codex")
    assert (done.entry is not None) == of_an_undo
    assert {name: path.read_bytes() for name, path in paths.items() if path.exists()} == before
    [left] = site.journal.read().in_effect
    assert left.profile == "one"


def test_a_damaged_line_is_told_with_its_number(tmp_path: Path) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    text = paths["claude-code"].read_bytes()
    site.journal.path.write_bytes(b"{}\n" + site.journal.path.read_bytes())
    with pytest.raises(MahavishnuError) as caught:
        switch_to(site, TWO, "claude-code")
    assert caught.value.code == "ai.journal_damaged" and "Line 1 " in caught.value.message
    assert paths["claude-code"].read_bytes() == text


def test_a_file_that_cannot_be_read_stops_all_before_the_first_write(tmp_path: Path) -> None:
    texts = {"claude_code": "{}", "codex": "model = 1\n", "qwen": '{"model": {}, // no\n}'}
    paths = install(tmp_path, **texts)
    os.utime(paths["qwen"], (1, 1))
    site = site_in(tmp_path)
    for code in ("document.rejected", "document.unreadable"):
        with pytest.raises(MahavishnuError) as caught:
            switch_to(site, ONE)
        assert caught.value.code == code and str(tmp_path) in caught.value.message
        assert [paths[name].read_text() for name in ("claude-code", "qwen")] == [
            "{}",
            texts["qwen"],
        ]
        assert not site.journal.path.exists()
        paths["codex"].write_text("")


@pytest.mark.parametrize("kind", ["truncates", "renames"])
def test_neither_side_loses_a_key_in_a_race(tmp_path: Path, kind: str) -> None:
    """
    The client writes all the time, and keeps no lock; its own keys all stay. Ours are there after each
    switch that says so, but where the client wrote back what it had read before we wrote.
    """
    path = install(tmp_path, claude_code='{"theirs": {}}')["claude-code"]
    site = replace(site_in(tmp_path), patience=QUICK)
    log = tmp_path / "turns.json"
    client = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.support.ai_files",
            "client",
            kind,
            str(path),
            str(WRITES),
            str(log),
        ],
        cwd=ROOT,
    )
    outcomes: Counter[str] = Counter()
    lost = []
    with noted_exchanges() as exchanges:
        while client.poll() is None:
            # No two switches write the same: what the client has read tells of which it knew.
            number = outcomes.total()
            profile = replace((ONE, TWO)[number % 2], model=f"model-{number}")
            try:
                switch_to(site, profile, "claude-code", overwrite=True)
            except MahavishnuError as error:
                outcomes[error.code] += 1
                continue
            outcomes["done"] += 1
            if not is_switched(read_whole(path), profile):
                lost.append((profile.model, exchanges[-1]))
    assert client.returncode == 0
    turns = read_turns(log)
    for model, last in lost:
        assert any(
            turn.meets(last.start, last.end) and turn.env.get("ANTHROPIC_MODEL") != model
            for turn in turns
        ), (model, last)
    switch_to(site, TWO, "claude-code", overwrite=True)
    says = strict_json(path.read_bytes())
    theirs = check_client_keys(says["theirs"], turns, exchanges)
    print(f"{kind}: {len(turns)} writes of the client, {dict(outcomes)}; it wrote what it had read before"
          f" over {len(lost)} of them, and lost {theirs} keys of its own")  # fmt: skip
    assert outcomes["done"] > 30 and len(lost) < outcomes["done"] / 4, (outcomes, lost)
    assert is_switched(says, TWO) and not site.journal.read().open


def read_whole(path: Path) -> Any:
    """Return what a file says that may just be written."""
    while True:
        with suppress(ValueError):
            return strict_json(path.read_bytes())


def is_switched(says: Any, profile: Profile) -> bool:
    """Tell whether all of a profile is in the settings of Claude Code."""
    env = says.get("env", {})
    return (
        env.get("ANTHROPIC_BASE_URL") == profile.endpoints["anthropic"]
        and env.get("ANTHROPIC_MODEL") == profile.model
        and str(profile.key) in says.get("apiKeyHelper", "")
    )


def place_of(name: ClientName, history: History, path: Path = Path("/settings")) -> SettingsPlace:
    return SettingsPlace(CLIENTS[name], path, False, history.remember(path), False)


def switched[D: Document](
    document: D, name: ClientName, profile: Profile, raw: bool, history: History
) -> tuple[D, History]:
    """Do what a switch does, and keep what it would keep, without a file."""
    client = CLIENTS[name]
    key = Secret(KEYS[profile.key.place]) if raw and profile.key else None
    delivery = deliver(profile, client, helper=Path("/bin/mahavishnu-key"), key=key)
    assert delivery.mode == choose_mode(profile, client, raw=key is not None)
    plan = plan_file(place_of(name, history), document, delivery)
    assert not plan.conflicts
    document, effects = merge(document, plan.changes, {})
    records = records_of(effects, client, "salt", lambda path: client.gives_back(path, delivery))
    entry = JournalEntry(
        id=new_id(), at="", kind="switch", profile=profile.name, scope="user", salt="salt",
        files=(FileRecord(name, "/settings", delivery.mode, records),),
    )  # fmt: skip
    return document, History((*history.done, entry), ())


def foreign_part(value: Any, name: ClientName, path: tuple[str, ...] = ()) -> Any:
    """Return what is not ours of a file, by reading it, in order."""
    if isinstance(value, dict):
        pairs = [
            (key, foreign_part(each, name, (*path, key)))
            for key, each in value.items()
            if not is_owned(name, (*path, key))
        ]
        return [(key, each) for key, each in pairs if each not in ([], None) or key not in MADE]
    return repr(value)


MADE = {"env", "modelProviders", "openai", "security", "auth", "model", "model_providers"}


def is_owned(name: ClientName, path: tuple[str, ...]) -> bool:
    from mahavishnu.ai.clients.claude_code import settings as claude_code

    if name == "claude-code":
        return path == ("apiKeyHelper",) or path in map(claude_code.env, claude_code.OWNED_ENV)
    if name == "codex":
        return path in (("model_provider",), ("model",), ("model_providers", "mahavishnu"))
    keys = (("env", "ONE_KEY"), ("env", "TWO_KEY"), ("model", "name"))
    return path in (*keys, ("security", "auth", "selectedType"), ("modelProviders", "openai"))


@pytest.mark.parametrize("name", EXAMPLES)
def test_ten_thousand_foreign_files_are_switched_and_come_back(name: ClientName) -> None:
    """A file of any style that the client takes: nothing foreign changes, and undo brings all of it back."""
    assert sum(EXAMPLES.values()) == 10_000 and EXAMPLES["codex"] >= 2_000
    native = {"claude-code": CLAUDE, "codex": CODEX}.get(name, TWO)
    read = CLIENTS[name].read_as()
    make = foreign_toml if name == "codex" else foreign_json
    done, wanted = 0, draw_part(*CODE).share(EXAMPLES[name])

    @settings(
        max_examples=wanted, deadline=None, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.integers(0, 10**9), st.booleans(), st.booleans())
    def check(seed: int, raw: bool, there: bool) -> None:
        nonlocal done
        document = read.parse(make(seed, KINDS[name]).text.encode())
        if there and name == "codex":
            document = document.set(("model",), "gpt")
        elif there:
            document = document.set(("env", "ANTHROPIC_MODEL"), "opus")
        history = History((), ())
        states, theirs = [document], foreign_part(parsed(document), name)
        for profile in ((ONE, native), (TWO, ONE), (ONE,), (TWO,), (native,), (ONE,))[seed % 6]:
            document, history = switched(document, name, profile, raw, history)
            assert foreign_part(parsed(document), name) == theirs
            states.append(document)
        for entry, before in zip(reversed(history.done), reversed(states[:-1]), strict=True):
            reversal = reverse(entry.files[0].records, salt="salt", keys=list(KEYS.values()))
            document, _ = merge(document, reversal.changes, {})
            assert not reversal.lost and same_value(parsed(document), parsed(before))
        assert respelled(document, history) == respelled(states[0], history)
        done += 1

    check()
    assert done == wanted


def respelled(document: Document, history: History) -> bytes:
    """Return the text with members of the user that were ours for a while in one spelling."""
    records = [record for entry in history.done for record in entry.files[0].records]
    texts = {record.path for record in records if isinstance(record.before, str)}
    for path in sorted(texts):
        if document.get(path) is not ABSENT:
            document = document.set(path, "x")
    return document.content


def parsed(document: Document) -> Any:
    return parse(document.content.decode())


@lru_cache(maxsize=8)  # what an undo leads to is what was there before
def parse(text: str) -> Any:
    return json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)


def test_an_undo_of_a_history_that_was_switched_is_exact_on_real_files(tmp_path: Path) -> None:
    for seed in range(60):
        home = tmp_path / str(seed)
        home.mkdir()
        paths = install(home, claude_code="")
        path = paths["claude-code"]
        path.write_bytes(foreign_json(seed).text.encode())
        before = path.read_bytes()
        site = site_in(home)
        try:
            for profile in (ONE, TWO, CLAUDE):
                switch_to(site, profile, "claude-code")
        except (MahavishnuError, Conflict):
            assert path.read_bytes() == before
            continue
        for _ in range(3):
            undo(site)
        assert path.read_bytes() == before


def test_records_say_nothing_of_lists_that_are_the_users() -> None:
    document = CLIENTS["qwen"].read_as().parse(b'{"modelProviders": {"openai": [{"id": "mine"}]}}')
    _, history = switched(document, "qwen", ONE, False, History((), ()))
    records: tuple[Record, ...] = history.done[0].files[0].records
    assert "mine" not in repr(records) and records[0].kind == "include"


def test_what_comes_between_plan_and_write_stops_the_switch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that the user types in at the last moment is not buried."""
    path = install(tmp_path, claude_code="{}")["claude-code"]
    site = site_in(tmp_path)
    intend = Journal.intend

    def type_in(journal: Journal, entry: JournalEntry) -> None:
        intend(journal, entry)
        path.write_text('{"env": {"ANTHROPIC_AUTH_TOKEN": "typed"}}')

    monkeypatch.setattr(Journal, "intend", type_in)
    with pytest.raises(MahavishnuError) as caught:
        switch_to(site, ONE, "claude-code")
    assert caught.value.code == "ai_files.conflict"
    assert path.read_text() == '{"env": {"ANTHROPIC_AUTH_TOKEN": "typed"}}'
    assert not site.journal.read().in_effect and not site.journal.read().open
