"""
What the folder that Claude Code works in would change about where its requests go, or who can read them.

Claude Code asks the helper with the user's environment, and only then puts a project's own on top: a
cloned repository could name another endpoint, and would be sent the key. So its settings are looked at,
and never written. A test against the real client shows it.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mahavishnu.ai.clients.claude_code import FACTS
from mahavishnu.ai.clients.key_command import Asked
from mahavishnu.ai.clients.requests import EXCEPTIONS, require_no_proxy
from mahavishnu.ai.clients.table import DEFAULT_CLIENT
from mahavishnu.ai.secrets.binding import Origin, origin_of, origin_or_none
from mahavishnu.ai.secrets.worktrees import Unresolved, find_checkouts
from mahavishnu.base.errors import Forbidden

FILES = (".claude/settings.json", ".claude/settings.local.json")
MAX_BYTES = 1024 * 1024
# Beside the endpoint itself: what lets another in between.
REDIRECTING = (
    "NODE_TLS_REJECT_UNAUTHORIZED", "NODE_EXTRA_CA_CERTS", *FACTS.proxies, "ANTHROPIC_UNIX_SOCKET",
)  # fmt: skip


def require_settings(asked: Asked, *, folder: Path, environ: Mapping[str, str]) -> None:
    """Refuse a key where `require_not_redirected` does."""
    require_not_redirected(asked.bound, folder=folder, environ=environ)


def require_not_redirected(bound: str, *, folder: Path, environ: Mapping[str, str]) -> None:
    """
    Refuse where settings in `folder`, or above it and below the home, lead the client elsewhere.

    In a linked worktree of git, those of the main checkout count too.

    Raises:
        Forbidden: `secret.project_redirects`, naming the file; also one that cannot be understood.
    """
    home = Path(environ["HOME"]).resolve() if environ.get("HOME") else None
    for each in _folders(folder, home):
        for name in FILES:
            path = each / name
            if _redirects(path, origin_of(bound), environ):
                raise Forbidden(
                    f"The settings of this project send requests elsewhere: {path}",
                    hint="Look into it; take the address, cloud, proxy, NO_PROXY or certificate out of its env.",
                    code="secret.project_redirects",
                )


def _folders(folder: Path, home: Path | None) -> Iterator[Path]:
    """Yield the folders whose settings may count; what is in the home is the user's, and in force already."""
    for each in (folder, *folder.parents):
        if each == home:
            return
        yield each
        try:
            yield from (found for found in find_checkouts(each) if found.resolve() != home)
        except Unresolved as exc:
            raise Forbidden(
                f"Mahavishnu cannot tell to which checkout of git this project belongs: {each / '.git'}",
                hint="Look into it; fix it with: git worktree repair",
                code="secret.project_redirects",
            ) from exc


def _redirects(path: Path, bound: Origin, environ: Mapping[str, str]) -> bool:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    if len(content) > MAX_BYTES or not _is_utf8(content):
        return True
    names = (FACTS.url_variable, *FACTS.clouds, *REDIRECTING)
    # An escape may hide a name.
    if b"\\" not in content and not any(name.encode() in content for name in (*names, *EXCEPTIONS)):
        return False
    env = _environment(content)
    if env is None:
        return True
    # "" takes the user's address away.
    asked = env.get(FACTS.url_variable, str(bound)) or FACTS.default_url
    if origin_or_none(str(asked)) != bound:
        return True
    if not _keeps_exceptions(bound, environ, env):
        return True
    return any(env.get(name) not in (None, "") for name in names[1:])


def _is_utf8(content: bytes) -> bool:
    """Tell whether a name that is searched for would be there; Claude Code reads UTF-16 as well."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in content


def _environment(content: bytes) -> dict[str, Any] | None:
    """Return the `env` of settings; None where they cannot be understood."""
    import json  # noqa: PLC0415 - only where a project has such settings

    try:
        values = json.loads(content)
    except (ValueError, RecursionError):
        return None
    env = values.get("env", {}) if isinstance(values, dict) else None
    return env if isinstance(env, dict) else None


def _keeps_exceptions(bound: Origin, environ: Mapping[str, str], env: Mapping[str, Any]) -> bool:
    """Tell whether no proxy of the user's gets what was kept from it before the project's NO_PROXY."""
    said = {name: str(env[name]) for name in EXCEPTIONS if name in env}
    try:
        require_no_proxy(str(bound), DEFAULT_CLIENT, {**environ, **said})
    except Forbidden:
        return not said
    return True
