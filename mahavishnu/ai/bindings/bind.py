"""
Bind directories, unbind them, and keep the guard in the clients' settings while any is bound.

What refuses comes first and goes last: the binding is written before any settings, and taken out after
them, so that whatever interrupts this leaves sessions that do not go on.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mahavishnu.ai.bindings import hooks
from mahavishnu.ai.bindings.location import copy_of, path_in
from mahavishnu.ai.bindings.match import bound_at, identify
from mahavishnu.ai.bindings.profiles import load_bindings
from mahavishnu.ai.bindings.settings import (
    PROJECT_CLIENT,
    protect,
    read_hooks_off,
    stands,
    take_back,
)
from mahavishnu.ai.bindings.store import (
    Binding,
    Bindings,
    FolderIdentity,
    Unreadable,
    read_bindings,
    render,
)
from mahavishnu.ai.clients.facts import Expected
from mahavishnu.ai.clients.hooks import hooks_of
from mahavishnu.ai.clients.project import find_project
from mahavishnu.ai.clients.rights import closing
from mahavishnu.ai.clients.settings import home
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.foreign_files.locks import locked
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.worktrees import Unresolved, find_repository
from mahavishnu.ai.switching.plan import check_plan
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.switch import SwitchOptions, plan_switch, switch
from mahavishnu.base.errors import Forbidden, NotFound, UsageError
from mahavishnu.base.files import write_atomically
from mahavishnu.base.paths import private_folder

_PATIENCE = timedelta(seconds=15)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """
    What is to be bound: `expected` is what the profile asks of each client, `guard` the whole path of the
    program, `home` MAHAVISHNU_HOME where that is set, and `overwrite` gives up what was changed by hand.
    """

    profile: Profile
    expected: Mapping[str, Expected]
    guard: Path
    home: str = ""
    overwrite: bool = False


@dataclass(frozen=True)
class BoundFolder:
    """What was done, and what its user should know."""

    binding: Binding
    guarded: tuple[ClientName, ...]
    notes: tuple[str, ...] = ()


def bind(site: Site, directory: Path, wanted: Wanted) -> BoundFolder:
    """
    Bind a directory to a profile, in the place of what it was bound to.

    Raises:
        NotFound: `ai.no_directory`.
        UsageError: `ai.home_unbindable`.
        Corrupt: `ai.directories_damaged`.
        MahavishnuError: as `switch` and `SettingsFile.edit`; the directory may then be bound, without
            the settings that let a session go on.
    """
    folder = _require_bindable(site, directory)
    here = replace(site, folder=folder)
    with _held(site):
        known = load_bindings(site)
        old = next(bound_at(folder, known.rows), None)
        settled = _settings_apply(here) and PROJECT_CLIENT in wanted.expected
        ask = SwitchOptions(clients=(PROJECT_CLIENT,), scope="project", overwrite=wanted.overwrite)
        if settled:
            plan = plan_switch(here, wanted.profile, ask)
            check_plan(plan, overwrite=wanted.overwrite, forget_keys=False)
        row = _row(folder, wanted)
        if old is not None and old.folder.path != row.folder.path:
            take_back(here, old, folder, overwrite=wanted.overwrite)
        elif old is not None:
            row = row._replace(entry=old.entry, settings=old.settings, hooks_off=old.hooks_off)
        rows = tuple(each for each in known.rows if each is not old)
        known = _write(site, known._replace(rows=(*rows, row)))
        known, guarded, notes = _guard(site, known, wanted)
        if settled:
            done = switch(here, wanted.profile, ask)
            entry = row.entry
            if done.entry and not stands(site, entry):
                entry = str(done.entry.id)
            path = here.path_of(PROJECT_CLIENT, "project")
            if row.settings != str(path):
                row = row._replace(hooks_off=read_hooks_off(here, path))
            row = row._replace(entry=entry, settings=str(path))
            lines = hooks.guard_lines(PROJECT_CLIENT, wanted.guard, path_in(site.state))
            protect(here, path, lines)
            _write(site, known._replace(rows=(*rows, row)))
        elif PROJECT_CLIENT in wanted.expected and PROJECT_CLIENT in guarded:
            client = CLIENTS[PROJECT_CLIENT]
            notes.append(
                f"{client.title} reads no settings of its own here, but those of the repository around it:"
                f" start it with mahavishnu ai run --bound -- {client.program}"
            )
    return BoundFolder(row, tuple(guarded), (*notes, *hooks.find_switched_off(folder)))


def unbind(site: Site, directory: Path, *, overwrite: bool = False) -> Binding:
    """
    Let a directory be as before: its settings, and with the last one those of the clients.

    Raises:
        NotFound: `ai.not_bound`.
        MahavishnuError: as `bind`; the directory then stays bound.
    """
    with _held(site):
        known = load_bindings(site)
        folder = Path(os.path.realpath(directory))
        row = next(bound_at(folder, known.rows), None)
        if row is None:
            raise NotFound(
                f"{directory} is not bound to a profile.",
                hint="See what is: mahavishnu ai bindings",
                code="ai.not_bound",
            )
        rows = tuple(each for each in known.rows if each is not row)
        if not rows:
            _require_readable(site)
        take_back(site, row, folder, overwrite=overwrite)
        if not rows:
            _unguard(site, known.made)
        _write(site, known._replace(rows=rows))
    return row


def unbind_all(site: Site, *, overwrite: bool = False) -> tuple[Binding, ...]:
    """Unbind every directory, and take the guard out even where nobody knows any more which they were."""
    with _held(site):
        try:
            known = read_bindings(path_in(site.state))
        except Unreadable:
            known = Bindings(())
        _require_readable(site)
        for row in known.rows:
            take_back(site, row, Path(row.folder.path), overwrite=overwrite)
        _unguard(site, known.made)
        _write(site, Bindings(()))
    return known.rows


def _require_bindable(site: Site, directory: Path) -> Path:
    folder = Path(os.path.realpath(directory))
    if not folder.is_dir():
        raise NotFound(f"There is no directory {directory}.", code="ai.no_directory")
    if home(site.environ).resolve().is_relative_to(folder):
        raise UsageError(
            "Your home, and what is around it, cannot be bound: the clients' own settings are in it.",
            hint="Switch with: mahavishnu ai switch-llm; or bind folders in it.",
            code="ai.home_unbindable",
        )
    return folder


def _settings_apply(here: Site) -> bool:
    """Tell whether the client, started in the folder, reads the settings that a switch would write."""
    if PROJECT_CLIENT not in hooks.clients_there(here):
        return False
    settings = CLIENTS[PROJECT_CLIENT].project_file or Path()
    if find_project(here.folder, here.environ, settings) != here.folder:
        return False
    inside = next((p for p in here.folder.parents if (p / ".git").exists()), None)
    return (here.folder / ".git").exists() or inside is None


def _row(folder: Path, wanted: Wanted) -> Binding:
    repository, inside = _find_repository(folder)
    return Binding(
        profile=wanted.profile.name,
        folder=identify(folder),
        clients=wanted.expected,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        repository=repository,
        inside=inside,
        home=wanted.home,
    )


def _find_repository(folder: Path) -> tuple[FolderIdentity | None, str]:
    try:
        for each in (folder, *folder.parents):
            shared = find_repository(each)
            if shared is not None:
                way = str(folder.relative_to(each))
                return identify(Path(os.path.realpath(shared))), "" if way == "." else way
    except (Unresolved, OSError) as error:
        raise Forbidden(
            f"Mahavishnu cannot tell to which repository {folder} belongs.",
            hint="Look into its .git; fix it with: git worktree repair",
            code="ai.unknown_repository",
        ) from error
    return None, ""


def _guard(
    site: Site, known: Bindings, wanted: Wanted
) -> tuple[Bindings, list[ClientName], list[str]]:
    """Put the guard into the settings of every client that is there."""
    guarded: list[ClientName] = []
    notes: list[str] = []
    for name in hooks.clients_there(site):
        path = hooks.file_of(site, name)
        lines = hooks.guard_lines(name, wanted.guard, path_in(site.state))
        close = closing(CLIENTS[name], site.environ)
        edit = hooks.install(site, name, path, lines, close=close)
        notes += edit.notes
        if edit.made:
            known = _write(site, known._replace(made=(*known.made, str(path))))
        notes += hooks_of(name).trust(hooks.find_guard(site, name, close=close))
        guarded.append(name)
        if name not in wanted.expected:
            notes.append(f"The profile is not for {CLIENTS[name].title}, which is refused there.")
    return known, guarded, notes


def _require_readable(site: Site) -> None:
    """Refuse, before anything is taken out, where the guard of one client could not be; raises as `unbind`."""
    for name in CLIENTS:
        path = hooks.file_of(site, name)
        if path.exists():
            with told(path):
                guard = hooks.find_guard(site, name)
            hooks_of(name).is_trusted(guard)


def _unguard(site: Site, made: Sequence[str]) -> None:
    for name in CLIENTS:
        path = hooks.file_of(site, name)
        if not path.exists():
            continue
        hooks_of(name).distrust(hooks.find_guard(site, name))
        hooks.uninstall(site, name, path, drop_empty=str(path) in made)


def _write(site: Site, known: Bindings) -> Bindings:
    """
    Write the bindings, the copy first; also where there are none left.

    A session that runs with the earlier hooks, or with those of another client home, then still reads that
    nothing is bound, instead of no list.
    """
    path = path_in(site.state)
    with told(path):
        private_folder(path.parent)
        for each in (copy_of(path), path):
            write_atomically(each, render(known))
    return known


@contextmanager
def _held(site: Site) -> Iterator[None]:
    path = path_in(site.state)
    with ExitStack() as turn:
        with told(path):
            turn.enter_context(locked(path, site.locks, timeout=_PATIENCE))
        yield
