"""Which profile each client uses, by what its settings say now, and what was changed since we wrote them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.settings import CurrentProvider, home
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.profiles.delivery import variable_of
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.table import scheme_of
from mahavishnu.ai.switching.drift import Author, Drift, find_drift, find_warning
from mahavishnu.ai.switching.journal import FileHistory, History
from mahavishnu.ai.switching.plan import Scope, SettingsPlace
from mahavishnu.ai.switching.routing import find_route
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import Forbidden, MahavishnuError, UsageError
from mahavishnu.base.masking import mask_url

# profile: one that is known; sign-in: the client's own; other: what no profile says; nothing: no choice.
type Use = Literal["profile", "sign-in", "other", "nothing"]


@dataclass(frozen=True)
class Authorship:
    """Who may have changed a file, and when it was last written, None where it is gone."""

    author: Author
    changed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ClientStatus:
    """
    One client's settings.

    `profile` is the name where `use` says that it is one; `key` the reference by which the client gets
    at its key, or "written"; `route` the profiles to which the gateway takes it, in order, and with `pinned` the first
    alone; `changed` who made the `drift`, and `warning` what it does to the key;
    `problem` the error that reading the settings met.
    """

    client: ClientName
    scope: Scope
    path: str
    installed: bool
    enabled: bool
    use: Use
    profile: str | None = None
    url: str = ""
    model: str = ""
    key: str = ""
    route: tuple[str, ...] = ()
    pinned: bool = False
    drift: tuple[Drift, ...] = ()
    changed: Authorship | None = None
    warning: str = ""
    sessions: int = 0
    problem: MahavishnuError | None = None


def look(site: Site, profiles: Mapping[str, Profile], history: History) -> tuple[ClientStatus, ...]:
    """Return the state of every client, and of a project's settings where they say something."""
    found = []
    for name in CLIENTS:
        found.append(look_at(site, name, "user", profiles, history))
        try:
            path = _project_file(site, name)
        except Forbidden as error:  # a link leads out of the project
            found.append(_with_problem(site, name, error))
            continue
        if path is not None and path.exists() and path != site.path_of(name, "user"):
            project = look_at(site, name, "project", profiles, history)
            if project.use != "sign-in" or project.drift:
                found.append(project)
    return tuple(found)


def _with_problem(site: Site, name: ClientName, problem: MahavishnuError) -> ClientStatus:
    return ClientStatus(
        client=name, scope="project", path="", installed=site.has(name),
        enabled=site.settings_of(name).enabled, use="other", problem=problem,
    )  # fmt: skip


def _project_file(site: Site, name: ClientName) -> Path | None:
    try:
        return site.path_of(name, "project")
    except UsageError:  # the home is no project, and not every client knows projects
        return None


def look_at(
    site: Site,
    name: ClientName,
    scope: Scope,
    profiles: Mapping[str, Profile],
    history: History,
) -> ClientStatus:
    """Return the state of one client's settings of a scope."""
    client = CLIENTS[name]
    place = site.place(name, scope, history)
    about = {
        "client": name,
        "scope": scope,
        "path": str(place.path),
        "installed": site.has(name),
        "enabled": site.settings_of(name).enabled,
        "sessions": len(site.sessions_of(name)),
    }
    if not about["installed"]:
        return ClientStatus(**about, use="nothing")  # type: ignore[arg-type]
    try:
        with told(place.path):
            document = site.open(client, place.path).read()
            client.check(document)
            seen = client.see(document)
            route = find_route(site, name, seen.url, seen.key)
            drift = find_drift(place, document)
            changed = _find_author(site, place, drift) if drift else None
            warning = find_warning(place, document) if drift else ""
    except MahavishnuError as error:
        return ClientStatus(**about, use="other", problem=error)  # type: ignore[arg-type]
    profile = match(seen, client, profiles, place.memory)
    if route is not None:
        profile = route.profile if route.profile in profiles else None
    return ClientStatus(
        **about,  # type: ignore[arg-type]
        use="profile" if profile else _without_profile(seen, client),
        profile=profile,
        url=mask_url(seen.url),
        model=seen.model,
        key=seen.key,
        route=() if route is None else route.names,
        pinned=route is not None and route.pinned,
        drift=tuple(_by(each, changed) for each in drift),
        changed=changed,
        warning=warning,
    )


def _find_author(site: Site, place: SettingsPlace, drift: tuple[Drift, ...]) -> Authorship:
    try:
        changed_at = datetime.fromtimestamp(place.path.stat().st_mtime, UTC)
    except OSError:
        changed_at = None
    if all(each.author == "client" for each in drift):
        return Authorship("client", changed_at)
    known = place.client.cc_switch and changed_at is not None
    installed = bool(known) and (home(site.environ) / ".cc-switch" / "cc-switch.db").is_file()
    return Authorship("cc-switch" if installed else "unknown", changed_at)


def _by(drift: Drift, changed: Authorship | None) -> Drift:
    """Return it with its author: what the client itself writes is not of who wrote, or deleted, the rest."""
    if changed is None or (drift.author == "client" and changed.changed_at is not None):
        return drift
    return replace(drift, author=changed.author)


def match(
    seen: CurrentProvider, client: Client, profiles: Mapping[str, Profile], memory: FileHistory
) -> str | None:
    """Return the profile that the settings say; of several, the one that was switched to."""
    found = [name for name, each in profiles.items() if _says(seen, client, each)]
    return memory.profile if memory.profile in found else next(iter(found), None)


def _says(seen: CurrentProvider, client: Client, profile: Profile) -> bool:
    protocol = profile.protocol_for(client.name)
    if protocol is None:
        return False
    if profile.auth == "native":
        return not seen.key and seen.url in ("", client.own_url)
    key = seen.key in (str(profile.key), "written", f"env:{variable_of(profile)}")
    return (
        seen.url == profile.endpoints[protocol]
        and (profile.model or seen.model) == seen.model
        and (key if profile.key else seen.key in ("", f"env:{variable_of(profile)}"))
    )


def _without_profile(seen: CurrentProvider, client: Client) -> Use:
    if seen.url or seen.key:
        return "other"
    return "sign-in" if client.own_url else "nothing"


def key_state(site: Site, profile: Profile) -> str:
    """
    Return "present" or "missing" for a key in a variable or file, else what there is to say of it.

    A keyring, which may ask to be unlocked, and a cloud are not asked, and no file is decrypted; of a cloud
    "no store" and "not installed" say that it could not be.
    """
    if profile.auth == "native":
        return "own sign-in"
    if profile.key is None:
        return "none needed"
    return scheme_of(profile.key.scheme).state(profile.key, site)
