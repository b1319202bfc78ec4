"""Where switches work: the user's home and state, which clients are there, and their files."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

from mahavishnu.ai.clients import places
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.project import find_project, require_inside
from mahavishnu.ai.clients.session import RunningSession
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.files import Patience, SettingsFile
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.routes.routes import FILE as ROUTES
from mahavishnu.ai.routes.routes import routes_in, tokens_in
from mahavishnu.ai.secrets.oneiric.stores import FindStores, no_stores
from mahavishnu.ai.switching.journal import History, Journal
from mahavishnu.ai.switching.plan import Scope, SettingsPlace
from mahavishnu.base.errors import UsageError

# How long a session of Claude Code takes at most to notice a change of its settings, with room to spare.
NOTICED = timedelta(seconds=2.5)


@dataclass(frozen=True)
class ClientChoice:
    """What the user's settings say of a client: whether to touch it, and another place of its file."""

    enabled: bool = True
    path: Path | None = None


@dataclass(frozen=True)
class Site:
    """
    Everything that a switch has to know of its surroundings.

    `gateway` is where that listens, `in_gateway` tells whether it has a profile just as this, and `fallback` gives
    the profiles that follow a chosen one where that fails.
    `state` is the folder of our state, `folder` the one that a project's settings are in, `helper`
    the whole path of `mahavishnu-key`, `identity` age's key file, `stores` finds the cloud stores of keys.
    """

    environ: Mapping[str, str] = field(repr=False)
    state: Path
    folder: Path
    helper: Path
    identity: Path
    clients: Mapping[ClientName, ClientChoice] = field(default_factory=dict)
    stores: FindStores = no_stores
    gateway: str = "http://127.0.0.1:8681"
    in_gateway: Callable[[Profile], bool] = lambda _: True
    fallback: Callable[[], Sequence[Profile]] = tuple
    patience: Patience = field(default_factory=Patience)
    pause: Callable[[float], None] = time.sleep

    @property
    def locks(self) -> Path:
        """The folder of locks on other programs' files, one for all that we do to them."""
        return locks_of(self.state)

    @property
    def journal(self) -> Journal:
        """The journal of all switches."""
        return Journal(self.state / "ai" / "journal.jsonl", self.locks)

    @property
    def routes(self) -> Path:
        """The file of the gateway's routes."""
        return routes_in(self.state)

    @property
    def tokens(self) -> Path:
        """The folder of the tokens that clients show the gateway."""
        return tokens_in(self.state)

    def settings_of(self, name: ClientName) -> ClientChoice:
        """Return what the settings say of a client."""
        return self.clients.get(name, ClientChoice())

    def has(self, name: ClientName) -> bool:
        """Tell whether the user has the client: a folder of it, or its program on PATH."""
        return self.find(name).is_there

    def path_of(self, name: ClientName, scope: Scope) -> Path:
        """Return the client's settings file of the scope."""
        client = CLIENTS[name]
        if scope == "user":
            return self.find(name).settings
        if client.project_file is None:
            raise UsageError(
                f"{client.title} takes no provider from a project.", code="ai.no_project_scope"
            )
        project = find_project(self.folder, self.environ, client.project_file)
        return require_inside(project / client.project_file, project)

    def place(self, name: ClientName, scope: Scope, history: History) -> SettingsPlace:
        """Return the client's settings, with what is known of them."""
        client, path = CLIENTS[name], self.path_of(name, scope)
        return SettingsPlace(
            client=client,
            path=path,
            make_folder=scope == "project" or self.find(name).program is not None,
            memory=history.remember(path),
            running=bool(self.sessions_of(name)),
            project=scope == "project",
            new=not path.exists(),
        )

    def sessions_of(self, name: ClientName) -> list[RunningSession]:
        """Return the sessions of the client that run."""
        return CLIENTS[name].sessions.find(CLIENTS[name].folder(self.environ))

    def open(self, client: Client, path: Path) -> SettingsFile:
        """Return a client's file, or that of the routes."""
        if path.name == ROUTES:  # none but us writes it, and we take turns
            patience = replace(self.patience, settle=timedelta(0))
            return SettingsFile(path, JsonDocument, self.locks, patience)
        return SettingsFile(path, client.read_as(), self.locks, self.patience)

    def find(self, name: ClientName) -> places.Place:
        """Return where a client is, whether it is there or not."""
        return places.find_place(name, self.environ, self.settings_of(name).path)


def locks_of(state: Path) -> Path:
    """Return the folder of locks on other programs' files, below the folder of our state."""
    return state / "ai" / "locks"


def require_client(site: Site, name: ClientName) -> None:
    """
    Refuse a client that was named and cannot be touched; it is never made.

    Raises:
        UsageError: `ai.client_disabled`.
        NotFound: `ai.client_missing`.
    """
    places.require_enabled(name, enabled=site.settings_of(name).enabled)
    places.require_there(site.find(name))
