"""The bindings, for commands: what cannot be read is an error that says what to do."""

from mahavishnu.ai.bindings.location import path_in
from mahavishnu.ai.bindings.store import Bindings, Unreadable, read_bindings
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import Corrupt


def load_bindings(site: Site) -> Bindings:
    """
    Return what is bound.

    Raises:
        Corrupt: `ai.directories_damaged`.
    """
    path = path_in(site.state)
    try:
        return read_bindings(path)
    except Unreadable as error:
        raise Corrupt(
            f"{path} and its copy cannot be read: nobody can tell which directories are bound.",
            hint="Restore it, or start over: mahavishnu ai unbind --all",
            code="ai.directories_damaged",
        ) from error
