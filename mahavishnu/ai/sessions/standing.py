"""Which profile a running session is really on, how a switch reaches it, and what it needs to follow one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.running import ancestors
from mahavishnu.ai.clients.session import Session, Standing
from mahavishnu.ai.clients.settings import Seen
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents import Absent, Document
from mahavishnu.ai.foreign_files.documents.port import plain
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.switching.journal import History
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.status import match
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.masking import mask_url

_QUOTES = re.compile("[\"',\\]]")


@dataclass(frozen=True)
class _Timeline:
    """A client's settings as they are, with what is known of profiles and of the past."""

    environ: Mapping[str, str]
    profiles: Mapping[str, Profile]
    history: History
    client: Client
    path: Path
    document: Document
    changed: float

    @property
    def seen(self) -> Seen:
        return self.client.see(self.document)

    def match(self, seen: Seen) -> str | None:
        return match(seen, self.client, self.profiles, self.history.remember(self.path))

    def at(self, seconds: float) -> str | None:
        """Return the profile that the settings said at a time; None for none that is known."""
        if self.changed > seconds:
            name = self.history.as_of(seconds).remember(self.path).profile
            if name is not None:
                apart = self.client.writes
                return None if self.history.is_of_another(seconds, self.path, apart) else name
        return self.match(self.client.see(self.before(seconds)))

    def before(self, seconds: float) -> Document:
        """Return the settings as they were at a time, as far as our own switches since tell."""
        document = self.document
        if self.changed <= seconds or not self.history.since(seconds, self.path):
            return document
        for path, value in self.history.remember(self.path).originals.items():
            gone = isinstance(value, Absent)
            document = document.remove(path) if gone else document.set(path, plain(value))
        return document

    def url_of(self, name: str | None) -> str:
        profile = self.profiles.get(name or "")
        protocol = profile.protocol_for(self.client.name) if profile else None
        if profile is None or protocol is None or profile.auth == "native":
            return ""
        return profile.endpoints[protocol]

    def model_of(self, name: str | None) -> str:
        profile = self.profiles.get(name or "")
        return (profile.model or "") if profile else ""

    def has_model(self, name: str | None, model: str) -> bool:
        """Tell whether a model is the profile's; of one that says none, every one may be."""
        profile = self.profiles.get(name or "")
        return profile is None or not profile.model or model in (profile.model, profile.small_model)

    def key_of(self, name: str | None) -> Reference | None:
        profile = self.profiles.get(name or "")
        return profile.key if profile else None

    def is_native(self, name: str | None) -> bool | None:
        profile = self.profiles.get(name or "")
        return None if profile is None else profile.auth == "native"

    def models(self) -> set[str]:
        return {each.model for each in self.profiles.values() if each.model}

    def find(self, url: str, model: str, key: str = "") -> str | None:
        found = [name for name in self.profiles if url and self.url_of(name) == url]
        spaced = f"{_QUOTES.sub(' ', key)} "
        with_key = [name for name in found if f"{self.profiles[name].key} " in spaced]
        with_model = [name for name in with_key or found if self.model_of(name) == model]
        return next(iter(with_model or with_key or found), None)


def find_standings(
    site: Site,
    profiles: Mapping[str, Profile],
    history: History,
    clients: Sequence[ClientName] = tuple(CLIENTS),
) -> tuple[Standing, ...]:
    """
    Return the sessions that run, of each client, with the profile that each is on.

    Of a client whose settings cannot be read they are returned too; `why` has the error.
    """
    above = ancestors()
    found: list[Standing] = []
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
) -> _Timeline:
    path = site.path_of(name, "user")
    with told(path):
        document = site.open(CLIENTS[name], path).read()
    try:
        changed = path.stat().st_mtime
    except OSError:
        changed = 0.0
    return _Timeline(site.environ, profiles, history, CLIENTS[name], path, document, changed)


def _unread(session: Session, error: MahavishnuError) -> Standing:
    reach = CLIENTS[session.client].reach
    return Standing(session=session, reach=reach, model_reach=reach, why=error.message)
