"""Which profile a running session is really on, how a switch reaches it, and what it needs to follow one."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from mahavishnu.ai.clients.running import ancestors
from mahavishnu.ai.clients.session import RunningSession, SessionProvider, SessionState, Timeline
from mahavishnu.ai.clients.settings import CurrentProvider
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents import Absent, Document
from mahavishnu.ai.foreign_files.documents.port import plain
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.switching.journal import History
from mahavishnu.ai.switching.routing import find_route
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.status import match
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.masking import mask_url


def find_session_states(
    site: Site,
    profiles: Mapping[str, Profile],
    history: History,
    clients: Sequence[ClientName] = tuple(CLIENTS),
) -> tuple[SessionState, ...]:
    """
    Return the sessions that run, of each client, with the profile that each is on.

    Of a client whose settings cannot be read they are returned too; `why` has the error.
    """
    above = ancestors()
    found: list[SessionState] = []
    for name in clients:
        sessions = site.sessions_of(name)
        if not sessions:
            continue
        try:
            timeline = _read(site, profiles, history, name)
        except MahavishnuError as error:
            found += [_unread(each, error) for each in sessions]
        else:
            found += [CLIENTS[name].sessions.judge(each, timeline) for each in sessions]
    return tuple(
        replace(each, url=mask_url(each.url), here=each.session.process.pid in above)
        for each in found
    )


def _read(
    site: Site, profiles: Mapping[str, Profile], history: History, name: ClientName
) -> Timeline:
    client, path = CLIENTS[name], site.path_of(name, "user")
    with told(path):
        document = site.open(client, path).read()
    try:
        changed = path.stat().st_mtime
    except OSError:
        changed = 0.0

    def match_(seen: CurrentProvider) -> str | None:
        route = find_route(site, name, seen.url, seen.key)
        if route is not None:
            return route.profile if route.profile in profiles else None
        return match(seen, client, profiles, history.remember(path))

    def before(seconds: float) -> Document:
        found = document
        if changed <= seconds or not history.since(seconds, path):
            return found
        for member, value in history.remember(path).originals.items():
            gone = isinstance(value, Absent)
            found = found.remove(member) if gone else found.set(member, plain(value))
        return found

    def at(seconds: float) -> str | None:
        if changed > seconds:
            said = history.as_of(seconds).remember(path).profile
            if said is not None:
                return None if history.is_of_another(seconds, path, client.writes) else said
        return match_(client.see(before(seconds)))

    return Timeline(
        environ=site.environ, path=path, document=document, seen=client.see(document),
        changed=changed, match=match_, at=at, before=before,
        providers={each: _provider(profile, name) for each, profile in profiles.items()},
    )  # fmt: skip


def _provider(profile: Profile, client: ClientName) -> SessionProvider:
    protocol = profile.protocol_for(client)
    native = profile.auth == "native"
    return SessionProvider(
        url="" if native or protocol is None else profile.endpoints[protocol],
        model=profile.model or "",
        small_model=profile.small_model,
        key=profile.key,
        native=native,
    )


def _unread(session: RunningSession, error: MahavishnuError) -> SessionState:
    reach = CLIENTS[session.client].reach
    return SessionState(session=session, reach=reach, model_reach=reach, why=error.message)
