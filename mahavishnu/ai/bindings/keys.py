"""
In a bound directory no key is given out but that of its profile, to whichever client asks, guarded or not.

Only the background server of Codex asks for all its threads from the folder that it was once started in,
which tells nothing of them: there it is the guard alone that stops them.
"""

from pathlib import Path

from mahavishnu.ai.bindings.match import Unresolved, find_binding
from mahavishnu.ai.bindings.routed import by_route, find_route
from mahavishnu.ai.bindings.store import Unreadable, read_bindings
from mahavishnu.ai.clients.hook_call import read_words
from mahavishnu.ai.clients.key_command import Asked, is_for
from mahavishnu.ai.clients.table import PACKAGES, facts_of
from mahavishnu.base.errors import Forbidden


def require_bound_profile(asked: Asked, file: Path, folder: Path, *, process: int) -> None:
    """
    Refuse a key that is not that of the profile which the folder is bound to by `file`.

    `process` is the pid of who asks.

    Raises:
        Forbidden: `secret.other_profile`; also where that is unknown.
    """
    server = facts_of(asked.client).server_word if asked.client in PACKAGES else ""
    if server and server in (read_words(process) or []):
        return
    try:
        row = find_binding(folder, read_bindings(file).rows)
    except (Unreadable, Unresolved) as exc:
        raise Forbidden(
            f"Mahavishnu cannot tell whether {folder} is bound to a profile.",
            hint="Look at it with: mahavishnu ai bindings",
            code="secret.other_profile",
        ) from exc
    if row is None:
        return
    expected = row.clients.get(asked.client)
    route = find_route(file, asked.client)
    if expected is not None and route is not None and route.only_profile == row.profile:
        routed = is_for(asked, by_route(file, route, expected), asked.client)
    else:
        routed = False
    if not routed and (expected is None or not is_for(asked, expected, asked.client)):
        raise Forbidden(
            f"{row.folder.path} is bound to the profile {row.profile}, which has another key.",
            hint=f"Start the client with: mahavishnu ai run {row.profile} --",
            code="secret.other_profile",
        )
