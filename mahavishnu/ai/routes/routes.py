"""
Routes of the gateway: for each client an ordered chain of profiles, by name alone; in one file of ours.

The gateway reads it at each request and the guard at each prompt, so that the standard library has to do. A
switch writes it, by members, as it writes clients' settings: so it is in the journal, and can be undone.
"""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from mahavishnu.base.errors import Corrupt

MAX_BYTES = 1024 * 1024
EVERY_MODEL = "*"
FILE = "routes.json"


class Link(NamedTuple):
    """
    A profile of a chain, and when it counts.

    `models` is a glob for the model that the client asks for, `directory` the whole path of a folder that
    the session has to be in; empty for any. The gateway knows no session's folder, so that one with a
    `directory` never counts there.
    """

    profile: str
    models: str = EVERY_MODEL
    directory: str = ""

    def fits(self, model: str, folder: str = "") -> bool:
        """Tell whether it counts for a model, and a session in a folder; "" where that is not known."""
        if not fnmatchcase(model, self.models):
            return False
        return not self.directory or bool(
            folder and Path(folder).is_relative_to(Path(self.directory))
        )


class Route(NamedTuple):
    """
    Where the requests of one client go: to the first link that fits, and where that fails to the next.

    Of one that is `pinned` the first that fits is the only one. `url` is the gateway's address in the
    client's settings.
    """

    client: str
    chain: tuple[Link, ...]
    pinned: bool = False
    url: str = ""

    @property
    def profile(self) -> str:
        """The name of the profile that comes first."""
        return self.chain[0].profile

    @property
    def names(self) -> tuple[str, ...]:
        """The profiles of the chain in order, each once."""
        return tuple(dict.fromkeys(each.profile for each in self.chain))

    def links_for(self, model: str, folder: str = "") -> tuple[Link, ...]:
        """Return the links to try, in order; none where no condition holds."""
        fitting = tuple(each for each in self.chain if each.fits(model, folder))
        return fitting[:1] if self.pinned else fitting

    @property
    def only_profile(self) -> str:
        """The one profile that requests can go to, pinned or not; empty where there are several."""
        return self.profile if len(self.names) == 1 else ""


type Routes = Mapping[str, Route]  # by client


def routes_in(state: Path) -> Path:
    """Return where the file is, below the folder of our state."""
    return state / "gateway" / FILE


def tokens_in(state: Path) -> Path:
    """Return the folder of the tokens that clients show, below the folder of our state."""
    return state / "gateway" / "tokens"


def read_routes(path: Path) -> Routes:
    """
    Return the routes by client; none where no client goes through the gateway.

    Raises:
        Corrupt: `ai.routes_damaged`.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _damaged(path) from error
    try:
        if len(content) > MAX_BYTES:
            raise _damaged(path)
        said = json.loads(content)
        return {name: _route(name, each) for name, each in said.items() if "chain" in each}
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path) from error


def members_of(link: Link) -> Any:
    """Return a link as the file has it."""
    return link._asdict()


def _route(client: str, said: Any) -> Route:
    chain = tuple(
        Link(_text(each["profile"]), _text(each["models"]), _text(each["directory"]))
        for each in said["chain"]
    )
    pinned = said.get("pinned", False)
    if not chain or not isinstance(pinned, bool):
        raise TypeError
    return Route(client, chain, pinned, _text(said.get("url", "")))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _damaged(path: Path) -> Corrupt:
    return Corrupt(
        f"The routes of the gateway in {path} cannot be read.",
        hint="Move the file away, and switch again: mahavishnu ai switch-llm NAME --via gateway",
        code="ai.routes_damaged",
    )
