"""Directories that use one profile and no other: bind them, unbind them, list them."""

from pathlib import Path

from mahavishnu.ai.bindings.bind import Wanted, bind, unbind, unbind_all
from mahavishnu.ai.bindings.listing import Listed, list_bindings
from mahavishnu.ai.bindings.profiles import expected_of, load_bindings
from mahavishnu.ai.bindings.store import Binding
from mahavishnu.operations.ai.bindings import current_of, guard_program
from mahavishnu.operations.ai.results import Whole
from mahavishnu.operations.ai.site import Environments


class BoundDirectory(Whole, frozen=True, kw_only=True):
    """A directory that was bound; `settings` is the file of Claude Code's that was written, `guarded` the clients."""

    directory: str
    profile: str
    settings: str | None
    guarded: list[str]
    notes: list[str]


class BindingBody(Whole, frozen=True, kw_only=True):
    """A binding, whether sessions there can go on, and why not."""

    directory: str
    profile: str
    state: str
    clients: list[str]
    guarded: list[str]
    settings: str | None
    bound_at: str
    notes: list[str]


class BoundDirectories(Whole, frozen=True, kw_only=True):
    """All bindings; `damaged`: the list was, and its copy is taken."""

    bindings: list[BindingBody]
    damaged: bool


class Unbound(Whole, frozen=True, kw_only=True):
    """The directories that are no longer bound."""

    unbound: list[str]


def bind_directory(
    environments: Environments, name: str, directory: Path, *, overwrite: bool
) -> tuple[BoundDirectory, Binding]:
    """Let sessions in a directory use one profile and no other."""
    profile, site = environments.find_wanted(name), environments.site
    wanted = Wanted(
        profile=profile,
        expected=expected_of(profile, helper=site.helper),
        guard=guard_program(),
        home=site.environ.get("MAHAVISHNU_HOME", ""),
        overwrite=overwrite,
    )
    done = bind(site, directory, wanted)
    environments.accept(profile)
    row = done.binding
    body = BoundDirectory.like(
        done, directory=row.folder.path, profile=row.profile, settings=row.settings or None
    )
    return body, row


def unbind_directories(
    environments: Environments, directory: Path | None, *, overwrite: bool
) -> tuple[Unbound, list[Binding]]:
    """End the binding of a directory, or all bindings."""
    if directory is None:
        rows = list(unbind_all(environments.site, overwrite=overwrite))
    else:
        rows = [unbind(environments.site, directory, overwrite=overwrite)]
    return Unbound(unbound=[each.folder.path for each in rows]), rows


def find_bindings(environments: Environments) -> BoundDirectories:
    """Return the bindings, and whether sessions there can go on."""
    known = load_bindings(environments.site)
    listed = list_bindings(
        environments.site,
        known.rows,
        guard=guard_program(),
        current=lambda row: current_of(row, environments.loaded.environ),
        profiles=environments.profiles,
    )
    return BoundDirectories(bindings=[_body(each) for each in listed], damaged=known.damaged)


def _body(listed: Listed) -> BindingBody:
    row = listed.binding
    return BindingBody.like(
        listed,
        directory=row.folder.path,
        profile=row.profile,
        clients=list(row.clients),
        settings=row.settings or None,
        bound_at=row.at,
    )
