"""
Routes of the gateway: for each client an ordered chain of profiles, by name alone; in one file of ours.

The gateway reads it at each request and the guard at each prompt, so that the standard library has to do.
"""

import json
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

from mahavishnu.base.errors import Corrupt

MAX_BYTES = 1024 * 1024
EVERY_MODEL = "*"
VERSION = 1


class Link(NamedTuple):
    """
    A profile of a chain, and when it counts.

    `models` is a glob for the model that the client asks for, `directory` the whole path of a folder that
    the session has to be in; empty for any.
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

    Of one that is `pinned` the first that fits is the only one.
    """

    client: str
    chain: tuple[Link, ...]
    pinned: bool = False

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
        """The one profile that requests can go to; empty where it may become another by itself."""
        alone = len(self.names) == 1 or (self.pinned and self.chain[0] == Link(self.profile))
        return self.profile if alone else ""


type Routes = Mapping[str, Route]  # by client


def routes_in(state: Path) -> Path:
    """Return where the file is, below the folder of our state."""
    return state / "gateway" / "routes.json"


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
        whole = json.loads(content)
        if len(content) > MAX_BYTES or whole["version"] != VERSION:
            raise _damaged(path)
        found = [_route(each) for each in whole["routes"]]
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(path) from error
    return {each.client: each for each in found}


def _route(said: Any) -> Route:
    chain = tuple(
        Link(_text(each["profile"]), _text(each["models"]), _text(each["directory"]))
        for each in said["chain"]
    )
    if not chain or not isinstance(said["pinned"], bool):
        raise TypeError
    return Route(_text(said["client"]), chain, said["pinned"])


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
