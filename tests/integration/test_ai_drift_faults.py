"""Adopting and restoring while files are torn, others write, the disk refuses and processes are killed."""

import errno
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.foreign_files.documents import Document
from mahavishnu.ai.foreign_files.files import SettingsFile
from mahavishnu.ai.switching.drift import adopt
from mahavishnu.ai.switching.journal import Journal, JournalEntry
from mahavishnu.ai.switching.restore import restore
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.status import look_at
from mahavishnu.ai.switching.switch import SwitchOptions
from mahavishnu.base.errors import MahavishnuError
from tests.support.ai_files import at_step
from tests.support.parts import draw_part
from tests.support.switching import ONE, everything, install, site_in, switch_to
from tests.support.switching_killed import CODE, change_by_hand, contents, settle_in


def restore_one(site: Site, *clients: Any) -> None:
    restore(site, lambda _: ONE, SwitchOptions(clients=clients))


@pytest.mark.parametrize("act", [adopt, restore_one])
@pytest.mark.parametrize(
    ("text", "code", "where"),
    [
        ('{"env": ', "document.torn", "line 1, column "),
        ('{\n  "env": 1}', "document.rejected", "env"),
        ('{\n  "env": {}, // mine\n}', "document.unreadable", "line 2, column "),
    ],
)
def test_settings_that_cannot_be_read_are_neither_adopted_nor_restored(
    tmp_path: Path, act: Any, text: str, code: str, where: str
) -> None:
    paths = install(tmp_path)
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code", "codex")
    paths["codex"].unlink()
    paths["claude-code"].write_text(text)
    os.utime(paths["claude-code"], (1, 1))
    before = everything(tmp_path)
    with pytest.raises(MahavishnuError) as caught:
        act(site)
    assert caught.value.code == code
    assert where in caught.value.message and str(tmp_path) in caught.value.message
    assert everything(tmp_path) == before
    act(site, ["codex"]) if act is adopt else act(site, "codex")
    assert paths["claude-code"].read_text() == text


def test_settings_that_we_never_wrote_are_not_even_read(tmp_path: Path) -> None:
    paths = install(tmp_path, qwen="{ torn")
    site = site_in(tmp_path)
    switch_to(site, ONE, "codex")
    paths["codex"].unlink()
    restore_one(site)
    assert paths["codex"].exists()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_whatever_step_of_a_restoring_fails_all_files_are_old_or_all_are_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """As on a full disk, or in a folder that lets nobody write."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    home = tmp_path / "home"
    home.mkdir()
    install(home)
    site = site_in(home)
    change_by_hand(site)
    shutil.copytree(home, tmp_path / "kept")
    old = contents(home)
    restore_one(site)
    new = contents(home)

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    outcomes: Counter[str] = Counter()
    part = draw_part(*CODE)
    for step in part.steps(3000):
        shutil.rmtree(home)
        shutil.copytree(tmp_path / "kept", home)
        code = "done"
        with at_step(step, fail) as steps:
            try:
                restore_one(site)
            except (MahavishnuError, OSError) as error:
                code = getattr(error, "code", "system")
        found = contents(home)
        assert found == (new if code == "done" else old), (step, code)
        outcomes[code] += 1
        settle_in(site)
        assert contents(home) == found and not site.journal.read().open
        if steps[0] < step:
            break
    wanted = "ai_files.disk_full" if number == errno.ENOSPC else "ai_files.not_writable"
    assert outcomes[wanted] > part.share(20) and outcomes["done"] >= 1, outcomes


def test_what_comes_between_looking_and_restoring_is_not_buried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = install(tmp_path)["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    path.unlink()
    intend = Journal.intend
    typed = '{"env": {"ANTHROPIC_AUTH_TOKEN": "typed"}}'

    def type_in(journal: Journal, entry: JournalEntry) -> None:
        intend(journal, entry)
        path.write_text(typed)

    monkeypatch.setattr(Journal, "intend", type_in)
    with pytest.raises(MahavishnuError) as caught:
        restore_one(site)
    assert caught.value.code == "ai_files.conflict" and path.read_text() == typed
    history = site.journal.read()
    assert [each.kind for each in history.done] == ["switch"] and not history.open


def test_only_what_was_looked_at_is_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What another writes meanwhile is drift again, and no part of what was accepted."""
    path = install(tmp_path)["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    path.write_text(path.read_text().replace("one-small", "mine"))
    read = SettingsFile.read

    def read_then_write(file: SettingsFile) -> Document:
        document = read(file)
        path.write_text(path.read_text().replace('"mine"', '"late"'))
        return document

    monkeypatch.setattr(SettingsFile, "read", read_then_write)
    adopt(site)
    monkeypatch.undo()
    [drift] = look_at(site, "claude-code", "user", {}, site.journal.read()).drift
    assert (drift.written, drift.now) == ("mine", "late")


def test_an_adoption_that_was_cut_off_never_was(tmp_path: Path) -> None:
    path = install(tmp_path)["claude-code"]
    site = site_in(tmp_path)
    switch_to(site, ONE, "claude-code")
    path.write_text(path.read_text().replace("one-small", "mine"))
    text = path.read_bytes()
    before = site.journal.path.read_bytes()
    adopt(site)
    whole = site.journal.path.read_bytes()
    for cut in (len(before) + 1, len(before) + 20, len(whole) - 1):
        site.journal.path.write_bytes(whole[:cut])
        history = site.journal.read()
        assert len(history.done) == 1 and not history.open
        assert settle_in(site) == ()
        adopt(site)
        assert [each.kind for each in site.journal.read().done] == ["switch", "adopt"]
    assert path.read_bytes() == text
