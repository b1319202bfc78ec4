"""Bound directories, from the settings in force: what a profile says now, and what is bound here."""

from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.bindings.guard import PROGRAM
from mahavishnu.ai.bindings.match import Unresolved, find_binding
from mahavishnu.ai.bindings.profiles import expected_of, load_bindings
from mahavishnu.ai.bindings.store import Binding
from mahavishnu.ai.clients.facts import Expected
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import Forbidden
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.operations.ai.clients import key_program
from mahavishnu.operations.ai.profiles import find_profile


def current_of(binding: Binding, environ: Mapping[str, str]) -> Mapping[str, Expected]:
    """
    Return what the profile of a binding says now, by client.

    Raises:
        MahavishnuError: the settings cannot be read, or have the profile no more.
    """
    given = {**environ, "MAHAVISHNU_HOME": binding.home} if binding.home else environ
    loaded = load_settings(environ=given, folder=Path(binding.folder.path))
    return expected_of(find_profile(loaded, binding.profile), helper=key_program())


def guard_program() -> Path:
    """Return the absolute path of `mahavishnu-guard`; raises as `key_program`."""
    return key_program().with_name(PROGRAM)


def find_bound(site: Site) -> Binding | None:
    """
    Return the binding of the folder that a site is in; None where it has none.

    Raises:
        Corrupt: `ai.directories_damaged`.
        Forbidden: `ai.bound`, it is unknown.
    """
    rows = load_bindings(site).rows
    try:
        return find_binding(site.folder, rows)
    except Unresolved as error:
        raise Forbidden(
            f"Mahavishnu cannot tell whether {site.folder} is bound to a profile: a .git above it points"
            " to nothing.",
            hint="Fix it with: git worktree repair",
            code="ai.bound",
        ) from error


def require_free(site: Site, name: str) -> None:
    """
    Refuse another profile than the one that the folder is bound to.

    Raises:
        Forbidden: `ai.bound`; else as `find_bound`.
    """
    row = find_bound(site)
    if row is not None and row.profile != name:
        raise Forbidden(
            f"{row.folder.path} is bound to the profile {row.profile}: {name} is not used there.",
            hint=f"Use that one: --bound, or {row.profile}; or let it go: mahavishnu ai unbind"
            f" {row.folder.path}",
            code="ai.bound",
        )
