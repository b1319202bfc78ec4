"""
The command that a client is given instead of a key: how it is written, and what it does.

    mahavishnu-key REFERENCE --for URL [--client NAME]

These words stand in other programs' settings: they are read by every later release.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mahavishnu.ai_env.secrets.binding import CLIENTS, origin_of, require_bound
from mahavishnu.ai_env.secrets.environment import EnvironmentStore
from mahavishnu.ai_env.secrets.project import require_not_redirected
from mahavishnu.ai_env.secrets.reference import Reference, parse_reference

if TYPE_CHECKING:
    from mahavishnu.ai_env.secrets.oneiric.stores import FindStores
from mahavishnu.errors import MahavishnuError, UsageError
from mahavishnu.masking import Secret

PROGRAM = "mahavishnu-key"
USAGE = f"{PROGRAM} REFERENCE --for URL [--client {'|'.join(CLIENTS)}]"
DEFAULT_CLIENT = "claude-code"
ROUTE = "/api/v1/secrets/resolve"
DAEMON_TIMEOUT_S = 35.0  # it may have to wait for a passphrase


class Asked(NamedTuple):
    """What the words of the command mean."""

    reference: Reference
    bound: str
    client: str


def helper_words(
    reference: Reference, *, bound: str, client: str, program: Path
) -> tuple[str, ...]:
    """
    Return the words of the command that gives the key of `reference` for the endpoint `bound`.

    `program` is the absolute path of `mahavishnu-key`. Of the endpoint only scheme, host and port
    are written. A client that starts programs without a shell (Codex) takes the words as they are.
    """
    if not program.is_absolute():
        raise UsageError(f"The path of {PROGRAM} must be absolute.", code="secret.helper_path")
    chosen = () if client == DEFAULT_CLIENT else ("--client", client)
    return (str(program), str(reference), "--for", str(origin_of(bound)), *chosen)


def helper_line(words: Sequence[str]) -> str:
    """Return the words as one line for a client that uses a shell (Claude Code)."""
    import shlex  # noqa: PLC0415 - whoever asks for a key does not need it

    return shlex.join(words)


def read_words(words: Sequence[str]) -> Asked:
    """
    Return what the words after the program's name mean; options may stand anywhere, once.

    Raises:
        UsageError: `secret.helper_words`, which repeats none of them: one may be a key.
    """
    options = {"--for": "", "--client": ""}
    references = []
    rest = iter(words)
    for word in rest:
        name, mark, value = word.partition("=")
        if name not in options:
            references.append(word)
            continue
        value = value if mark else next(rest, "")
        if options[name] or not value:
            raise _wrong_words()
        options[name] = value
    if len(references) != 1 or references[0].startswith("-") or not options["--for"]:
        raise _wrong_words()
    return Asked(
        parse_reference(references[0]), options["--for"], options["--client"] or DEFAULT_CLIENT
    )


def release(
    asked: Asked, environ: Mapping[str, str], *, folder: Path, stores: "FindStores | None" = None
) -> Secret:
    """
    Return the key, if the client, which works in `folder`, asks where the key is bound to.

    `stores` finds the cloud stores of the settings, which are read for such a key alone; None: none.

    What is not in the environment is asked of the running daemon, which remembers it for a while,
    and else read here.

    Raises:
        Forbidden: `secret.other_profile`, the folder is bound to a profile that has another key.
        MahavishnuError: as `require_bound`, `require_not_redirected`, `require_same_address` and
            `SecretStore.read`.
    """
    _require_bound_profile(asked, environ, folder)
    require_bound(asked.bound, asked.client, environ)
    require_not_redirected(asked.bound, asked.client, folder=folder, environ=environ)
    if asked.client == "codex":
        from mahavishnu.ai_env.secrets.codex_settings import (  # noqa: PLC0415 - slow
            require_same_address,
        )

        require_same_address(asked.bound, lambda words: _means(words, asked), environ)
    if asked.reference.scheme == "env":
        return EnvironmentStore(environ).read(asked.reference)
    return _release_slowly(asked.reference, environ, stores)


def _require_bound_profile(asked: Asked, environ: Mapping[str, str], folder: Path) -> None:
    """Refuse where the folder is bound to another profile; quick where no folder ever was."""
    from mahavishnu.ai_env.directories.location import (  # noqa: PLC0415 - a circle
        copy_of,
        path_in,
        state_folder,
    )

    file = path_in(state_folder(environ))
    if os.path.lexists(file) or os.path.lexists(copy_of(file)):
        from mahavishnu.ai_env.directories.keys import require_bound_profile  # noqa: PLC0415 - a circle

        require_bound_profile(asked, file, folder, process=os.getppid())


def _means(words: Sequence[str], asked: Asked) -> bool:
    try:
        return read_words(words) == asked
    except MahavishnuError:
        return False


def _release_slowly(
    reference: Reference, environ: Mapping[str, str], stores: "FindStores | None"
) -> Secret:
    from mahavishnu.ai_env.secrets.oneiric.stores import no_stores  # noqa: PLC0415 - slow
    from mahavishnu.ai_env.secrets.resolve import find_identity, resolve  # noqa: PLC0415 - slow
    from mahavishnu.paths import locate  # noqa: PLC0415 - slow

    locations = locate(environ)
    try:
        return _ask_daemon(reference, locations.daemon_lock, locations.token)
    except MahavishnuError:  # none is there, or what opens the key is not there for it
        identity = find_identity(environ, locations)
        return resolve(reference, environ=environ, identity=identity, stores=stores or no_stores)


def _ask_daemon(reference: Reference, lock: Path, token: Path) -> Secret:
    from mahavishnu.daemon.client import DaemonClient, not_running  # noqa: PLC0415 - slow
    from mahavishnu.daemon.record import find_listening  # noqa: PLC0415 - slow
    from mahavishnu.daemon.token import read_token  # noqa: PLC0415 - slow

    record = find_listening(lock)
    if record is None:
        raise not_running()
    client = DaemonClient(record, read_token(token), timeout_s=DAEMON_TIMEOUT_S)
    return Secret(str(client.ask("POST", ROUTE, {"reference": str(reference)})["key"]))


def _wrong_words() -> UsageError:
    return UsageError(
        "These are not the words of this command.",
        hint=f"It is: {USAGE}",
        code="secret.helper_words",
    )
