"""Which profile a running session is really on, how a switch reaches it, and what it needs to follow one."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from mahavishnu.ai.clients.claude_code.layers import read_layers
from mahavishnu.ai.clients.claude_code.settings import LARGE_MODELS, OWNED_ENV, env
from mahavishnu.ai.clients.codex.settings import OWN_PROVIDER, PROVIDER
from mahavishnu.ai.clients.finders import FINDERS
from mahavishnu.ai.clients.port import Seen, text_at
from mahavishnu.ai.clients.qwen.settings import STARTED_ON
from mahavishnu.ai.clients.running import ancestors, variables_of, word_after, words_of
from mahavishnu.ai.clients.session import Session
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents import Absent, Document
from mahavishnu.ai.foreign_files.documents.port import plain
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.profiles.delivery import find_protocol
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.sessions.resume import alias_in
from mahavishnu.ai.switching.journal import History
from mahavishnu.ai.switching.launch import RUN_ID
from mahavishnu.ai.switching.site import Site
from mahavishnu.ai.switching.status import match
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.masking import mask_url

# live: it takes a switch over by itself; thread: a new thread does; restart: only once started again;
# own: it was started on a profile of its own, which no switch changes.
type Reach = Literal["live", "thread", "restart", "own"]
type Need = Literal["nothing", "thread", "restart"]

MODEL = LARGE_MODELS[0]
_QWEN_URL = "ANTHROPIC_BASE_URL"
_QUOTES = re.compile("[\"',\\]]")
_CODEX_URL = re.compile(r'base_url\s*=\s*"([^"]*)"')


@dataclass(frozen=True, kw_only=True)
class Standing:
    """
    Where a session stands.

    `model` is the one that it asks; `profile` the one that it is really on, None for none that is known;
    `url` the address, empty for the client's own or where it is not known. `reach` says how a switch
    reaches its address and key, `model_reach` its model; `needs` what it takes now to be on what the
    settings say, and `why`. `wanted` is the model that the settings say, empty for the client's own
    choice. `here` marks the session that this command was called from.
    """

    session: Session
    model: str = ""
    profile: str | None = None
    url: str = ""
    reach: Reach
    model_reach: Reach
    needs: Need = "nothing"
    why: str = ""
    wanted: str = ""
    here: bool = False


@dataclass(frozen=True)
class _Now:
    """A client's settings as they are, with what is known of profiles and of the past."""

    site: Site
    profiles: Mapping[str, Profile]
    history: History
    client: ClientName
    path: Path
    document: Document
    changed: float

    @property
    def seen(self) -> Seen:
        return CLIENTS[self.client].see(self.document)

    def match(self, seen: Seen) -> str | None:
        return match(seen, CLIENTS[self.client], self.profiles, self.history.remember(self.path))

    def at(self, seconds: float) -> str | None:
        """Return the profile that the settings said at a time; None for none that is known."""
        if self.changed > seconds:
            name = self.history.as_of(seconds).remember(self.path).profile
            if name is not None:
                apart = CLIENTS[self.client].writes
                return None if self.history.is_of_another(seconds, self.path, apart) else name
        return self.match(CLIENTS[self.client].see(self.before(seconds)))

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
        protocol = find_protocol(profile, self.client) if profile else None
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

    def is_other_provider(self, said: str, name: str | None) -> bool:
        """Tell whether what Codex calls a provider cannot be the profile's."""
        profile = self.profiles.get(name or "")
        if profile is None or not said:
            return False
        return said != (OWN_PROVIDER if profile.auth == "native" else PROVIDER[-1])


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
        sessions = FINDERS[name](CLIENTS[name].folder(site.environ), site.environ)
        if not sessions:
            continue
        try:
            now = _read(site, profiles, history, name)
        except MahavishnuError as error:
            found += [_unread(each, error) for each in sessions]
        else:
            found += [_JUDGES[name](each, now) for each in sessions]
    return tuple(
        replace(each, url=mask_url(each.url), here=each.session.process.pid in above)
        for each in found
    )


def _read(site: Site, profiles: Mapping[str, Profile], history: History, name: ClientName) -> _Now:
    path = site.path_of(name, "user")
    with told(path):
        document = site.open(CLIENTS[name], path).read()
    try:
        changed = path.stat().st_mtime
    except OSError:
        changed = 0.0
    return _Now(site, profiles, history, name, path, document, changed)


def _unread(session: Session, error: MahavishnuError) -> Standing:
    reach = _REACHES[session.client]
    return Standing(session=session, reach=reach, model_reach=reach, why=error.message)


def _claude(session: Session, now: _Now) -> Standing:
    """Judge by the settings as they are: it takes address and key over within two seconds, the model not."""
    words = words_of(session.process)
    layers = read_layers(
        user=now.path,
        folder=session.folder,
        words=words,
        exported=variables_of(session.process, OWNED_ENV),
    )
    seen = CLIENTS["claude-code"].see(layers.document)
    wanted = seen.model or text_at(layers.document, ("model",))
    # One that was resumed asks the model of the settings of then; without one, that of its last answer.
    chosen = word_after("--model", words) or _model_then(session, now, layers.document)
    model = session.model if session.answered >= session.since else chosen or session.model
    standing = Standing(
        session=session,
        model=model,
        wanted=wanted,
        # What it asks is not compared: a session that keeps its model is on the profile all the same.
        profile=now.match(seen) or _by_url(now, seen.url, model, seen.key),
        url=seen.url,
        reach="own" if layers.own else "live",
        model_reach="own" if layers.own else "live",
    )
    if session.activity == "busy" and 0 < session.busy_since < now.changed and not layers.own:
        then = now.at(session.busy_since)
        standing = replace(
            standing, profile=then, url=now.url_of(then), why="it follows when it has answered"
        )
    if layers.own or not chosen or alias_in(words):
        return standing
    standing = replace(standing, model_reach="restart")
    foreign = {now.model_of(each) for each in now.profiles} - {""}
    if model and model != wanted and (wanted or model in foreign):
        return replace(standing, needs="restart", why=f"it asks for {model}")
    return standing


def _model_then(session: Session, now: _Now, document: Document) -> str:
    """Return the model it was started with; empty for the client's own choice, which follows the settings."""
    before = now.before(session.since)
    return (
        now.model_of(now.at(session.since))
        or text_at(before, env(MODEL))
        or text_at(document, ("model",))
        or variables_of(session.process, [MODEL]).get(MODEL, "")
    )


def _codex(session: Session, now: _Now) -> Standing:
    """Judge by the time at which the thread was loaded: it stays with the provider of then."""
    if session.provider == RUN_ID:
        given = _given_provider(words_of(session.process))
        found = _CODEX_URL.search(given)
        return _on_its_own(session, now, found[1] if found else "", key=given)
    profile = now.at(session.since)
    if not session.resumed and now.is_other_provider(session.provider, profile):
        return Standing(
            session=session, model=session.model, reach="own", model_reach="own",
            why=f"it was started on the provider {session.provider}",
        )  # fmt: skip
    current = now.match(now.seen)
    standing = Standing(
        session=session, model=session.model, profile=profile, url=now.url_of(profile),
        reach="thread", model_reach="thread", wanted=now.seen.model,
    )  # fmt: skip
    lacking = _lacking(session, now, current)
    if lacking:
        return replace(standing, needs="restart", why=lacking)
    if profile != current and (profile or current):
        return replace(standing, needs="thread", why="it began before the switch")
    if now.seen.model and session.model and now.seen.model != session.model:
        return replace(standing, needs="thread", why=f"it asks for {session.model}")
    return standing


def _lacking(session: Session, now: _Now, current: str | None) -> str:
    """Return why the background server could not get at the present key: its environment is that of its start."""
    profile = now.profiles.get(current or "")
    if profile is None or profile.key is None or profile.key.scheme != "env" or not session.shared:
        return ""
    name = profile.key.place
    wanted = now.site.environ.get(name)
    if not wanted or variables_of(session.process, [name]).get(name) == wanted:
        return ""
    return f"Codex's background server was started with another {name}, or without it"


def _given_provider(words: Sequence[str]) -> str:
    """Return the provider that `ai run` gave, as the words have it."""
    return next((each for each in words if each.startswith(f"model_providers.{RUN_ID}=")), "")


def _qwen(session: Session, now: _Now) -> Standing:
    """Judge by what it began with: a session keeps model, address and key until it ends."""
    words = words_of(session.process)
    given = variables_of(session.process, [STARTED_ON, _QWEN_URL])
    url = word_after("--openai-base-url", words)
    if word_after("--auth-type", words) == "anthropic":  # an option for that address there is not
        url = given.get(_QWEN_URL, "")
    if url:
        return _on_its_own(session, now, url, name=given.get(STARTED_ON, ""))
    profile = now.at(session.since)
    answered = session.answered >= session.since
    model = session.model if answered else now.model_of(profile)
    # Settings of a project, or its user, may have chosen a model that is not of the profile.
    known = not answered or now.has_model(profile, model)
    standing = Standing(
        session=session, model=model, profile=profile if known else None,
        url=now.url_of(profile) if known else "", reach="restart", model_reach="restart",
    )  # fmt: skip
    current = now.match(now.seen)
    if profile != current and (profile or current):
        return replace(standing, needs="restart", why="it began before the switch")
    return standing


def _on_its_own(
    session: Session, now: _Now, url: str, *, name: str = "", key: str = ""
) -> Standing:
    found = name if url and now.url_of(name) == url else _by_url(now, url, session.model, key)
    return Standing(
        session=session, model=session.model, profile=found, url=url, reach="own",
        model_reach="own",
    )  # fmt: skip


def _by_url(now: _Now, url: str, model: str, key: str) -> str | None:
    """Return the profile of an address; of several, one whose key is named, then the one that has the model."""
    found = [name for name in now.profiles if url and now.url_of(name) == url]
    with_key = [
        name for name in found if f"{now.profiles[name].key} " in f"{_QUOTES.sub(' ', key)} "
    ]
    with_model = [name for name in with_key or found if now.model_of(name) == model]
    return next(iter(with_model or with_key or found), None)


_REACHES: Mapping[ClientName, Reach] = {"claude-code": "live", "codex": "thread", "qwen": "restart"}
_JUDGES = {"claude-code": _claude, "codex": _codex, "qwen": _qwen}
