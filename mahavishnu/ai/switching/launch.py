"""
Start a client on a profile for one session: by its own options and its environment, no file is changed.

No key is among the words, which every user of the machine can read. Variables that would lead the
client elsewhere, or send another key along, are taken out.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mahavishnu.ai.clients.delivery import NO_KEY, Delivery
from mahavishnu.ai.clients.launch import Start
from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.profiles.delivery import deliver
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.ai.switching.switch import why_not
from mahavishnu.ai.switching.verify import Resolve
from mahavishnu.base.errors import NotFound, UsageError
from mahavishnu.base.masking import Secret

_NO_PROXY = {"NO_PROXY": "no_proxy", "no_proxy": "NO_PROXY"}


@dataclass(frozen=True)
class Launch:
    """What to start: the words begin with the client's name; the environment may hold the key."""

    program: Path
    words: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)
    taken_out: tuple[str, ...]


def recognise(word: str) -> ClientName:
    """
    Return the client that a program's name or path stands for.

    Raises:
        UsageError: `ai.unknown_program`.
    """
    for name, client in CLIENTS.items():
        if Path(word).name == client.program:
            return name
    raise UsageError(
        f"{Path(word).name} is none of the clients that can be started on a profile.",
        hint=f"They are: {', '.join(each.program for each in CLIENTS.values())}. For a program of"
        " another name that starts one of them: --client",
        code="ai.unknown_program",
    )


def plan_launch(
    profile: Profile,
    client: ClientName,
    words: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path,
    helper: Path,
    resolve: Resolve,
) -> Launch:
    """
    Return how a client is started on a profile; nothing is done.

    `words` are the user's own, the program first; `folder` is where it will work.

    Raises:
        UsageError: `ai.unsuitable_profile`, `ai.own_settings`.
        NotFound: `ai.program_missing`; of the key as `resolve`.
        Conflict: `ai.model_taken`.
        Forbidden: `secret.project_redirects`.
    """
    program = _find_program(words[0], environ)
    known = CLIENTS[client]
    delivery = _deliver(profile, known, helper)
    key = Secret(NO_KEY)
    if delivery.mode != "native" and profile.key is not None:
        key = resolve(profile.key)
    kept, taken_out = _without_strays(profile, delivery, environ)
    more = {} if delivery.mode == "native" else _past_proxies(delivery.url, environ)
    check_project = known.launch.check_project
    if check_project and delivery.words:
        check_project(delivery.url, folder=folder, environ={**kept, **more})
    options = known.launch.find_options(Start(delivery, words, key, environ, folder))
    said = (words[0], *options.words, *words[1:])
    more |= options.environ
    return Launch(program, said, {**kept, **more}, taken_out)


def _find_program(word: str, environ: Mapping[str, str]) -> Path:
    found = shutil.which(word, path=environ.get("PATH", ""))
    if found is None:
        raise NotFound(
            f"There is no program {word}.",
            hint="Install it, or add its folder to PATH.",
            code="ai.program_missing",
        )
    return Path(found)


def _deliver(profile: Profile, client: Client, helper: Path) -> Delivery:
    reason = why_not(profile, client, "user")
    if reason:
        raise UsageError(
            f"{client.title} cannot be started on {profile.name}: {reason}.",
            hint="Choose another profile or client: mahavishnu ai profile list",
            code="ai.unsuitable_profile",
        )
    return deliver(profile, client, helper=helper)


def _without_strays(
    profile: Profile, delivery: Delivery, environ: Mapping[str, str]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Return the environment without what leads to another provider, and what was taken out of it."""
    own = profile.key.variable if profile.key else ""
    # With a client's own sign-in, what carries that stays.
    gone = () if delivery.mode == "native" else find_sign_ins()
    foreign = tuple(beginning for each in CLIENTS.values() for beginning in each.steered_by)
    out = {
        name
        for name in environ
        if (name.startswith(foreign) or name in gone) and (name != own or delivery.mode == "native")
    }
    kept = {name: value for name, value in environ.items() if name not in out}
    return kept, tuple(sorted(out))


def find_sign_ins() -> tuple[str, ...]:
    """Return the variables that carry the clients' own sign-ins."""
    return tuple(name for each in CLIENTS.values() for name in each.sign_ins)


def _past_proxies(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """
    Return variables that keep what goes to this machine in the open from proxies.

    One could read the key, and Qwen Code takes from a `.env` or the settings of a project what is not set.
    Through https a proxy reads nothing, and the user may need one.
    """
    scheme, host, _ = origin_of(url)
    if scheme == "https":
        return {}
    # An IPv6 address has many forms, and only one of them is compared.
    own = "*" if host.startswith("[") and host != "[::1]" else f"{host},{host}."
    own += ",::1" if host == "[::1]" else ""
    said = {name: environ.get(name) or environ.get(other, "") for name, other in _NO_PROXY.items()}
    return {
        name: "*" if "*" in (value, own) else f"{value},{own}".lstrip(",")
        for name, value in said.items()
    }
