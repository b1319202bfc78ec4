"""
What a profile is: a provider, where it is asked by which protocol, with which models and which key.

What a file says of one becomes a `Profile` here, or is refused; no message repeats what may be a key.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, cast

from mahavishnu.ai.clients.delivery import KeyHeader, Protocol
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.ai.secrets.reference import Reference, known_forms, parse_reference
from mahavishnu.base.errors import UsageError

type Auth = Literal["key", "native"]

ADDRESS_KEYS: Mapping[str, Protocol] = {
    "anthropic_base_url": "anthropic",
    "openai_responses_base_url": "openai-responses",
    "openai_chat_base_url": "openai-chat",
}
# Hosts of early samples where nobody ever answered.
NO_SUCH_HOSTS = frozenset({"api.codex.com", "api.qwen.com"})
MAX_TEXT = 200
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
# A switch clears these in Claude's settings, and the helper that would read one runs below them.
_CLEARED = frozenset({"ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"})


@dataclass(frozen=True, kw_only=True)
class Profile:
    """
    A provider as clients are pointed at it.

    `endpoints` has the base URL by protocol; address, key, models and protocol change as one unit.
    With `auth` native the client's own sign-in counts, and `key` is not used. `clients` narrows which
    ones it may configure; None is every one that speaks a protocol of it. `origin` says where the
    profile stands: "built-in", "preset", or the path of a file.
    """

    name: str
    title: str = ""
    auth: Auth = "key"
    endpoints: Mapping[Protocol, str] = field(default_factory=dict)
    key: Reference | None = None
    key_header: KeyHeader = "bearer"
    model: str | None = None
    small_model: str | None = None
    timeout_ms: int | None = None
    clients: frozenset[ClientName] | None = None
    origin: str = "built-in"

    def protocol_for(self, client: ClientName) -> Protocol | None:
        """Return the protocol by which a client can be pointed here; None where it speaks none."""
        if self.clients is not None and client not in self.clients:
            return None
        protocols = CLIENTS[client].protocols
        if self.auth == "native":  # a client's own sign-in has one address
            protocols = protocols[:1] if CLIENTS[client].own_url else ()
        return next((each for each in protocols if each in self.endpoints), None)


@dataclass(frozen=True, kw_only=True)
class ProfileEntry:
    """What a file says of a profile, by the keys it has there; None: nothing."""

    title: str | None = None
    auth: Auth | None = None
    anthropic_base_url: str | None = None
    openai_responses_base_url: str | None = None
    openai_chat_base_url: str | None = None
    key: str | None = None
    key_header: KeyHeader | None = None
    model: str | None = None
    small_model: str | None = None
    api_timeout_ms: int | None = None
    clients: tuple[ClientName, ...] | None = None

    def said(self) -> dict[str, Any]:
        """Return the values that are given, by key."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def check_name(name: str) -> str:
    """
    Return a profile's name, which is a file's name and part of a variable's.

    Raises:
        UsageError: `ai.profile_name`.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(
            "The name of a profile has small letters, digits, - and _, and at most 64 of them.",
            hint="For example: work-glm",
            code="ai.profile_name",
        )
    return name


def read_profile(
    name: str, entry: ProfileEntry, *, origin: str, base: Profile | None = None
) -> Profile:
    """
    Return the profile that an entry describes; `base` is the shipped one of the same name.

    An entry that gives addresses has no others. Those of another host know other models: then of the
    base its title is taken alone, and the entry has to name a key, since that of the base is not for
    them. An entry without addresses, or with those of the base, changes just what it names.

    Raises:
        UsageError: `ai.profile_*`, `secret.reference`, `secret.insecure_endpoint`: what is wrong,
            with the profile's name and the key at fault, never with its value.
    """
    check_name(name)
    endpoints = _endpoints(name, entry)
    known = base or Profile(name=name)
    if entry.key is None and entry.auth != "native":
        _require_same_hosts(endpoints, known)
    kept = known if _at_home(endpoints, known) else Profile(name=name)
    moved = any(url.rstrip("/") != known.endpoints.get(way) for way, url in endpoints.items())
    profile = Profile(
        name=name,
        title=entry.title or known.title,
        auth=entry.auth or ("key" if moved or entry.key else kept.auth),
        endpoints=endpoints or kept.endpoints,
        key=_reference(name, entry.key) if entry.key is not None else known.key,
        key_header=entry.key_header or kept.key_header,
        model=entry.model or kept.model,
        small_model=entry.small_model or kept.small_model,
        timeout_ms=entry.api_timeout_ms or kept.timeout_ms,
        clients=frozenset(entry.clients) if entry.clients is not None else kept.clients,
        origin=origin,
    )
    check_profile(profile)
    return profile


def is_of_early_sample(entry: ProfileEntry, base: Profile) -> bool:
    """
    Tell whether an entry has no address but of hosts that never were, and no other key than the shipped one.

    Such an entry changes no more than the title and the timeout of the shipped profile.
    """
    urls = _endpoints(base.name, entry).values()
    other_key = entry.key is not None and _reference(base.name, entry.key) != base.key
    other_auth = entry.auth not in (None, base.auth)
    nowhere = bool(urls) and {origin_of(url).host for url in urls} <= NO_SUCH_HOSTS
    return nowhere and not other_key and not other_auth


def of_early_sample(entry: ProfileEntry, base: Profile) -> Profile:
    """Return the shipped profile with what such an entry changes."""
    title, timeout_ms = entry.title or base.title, entry.api_timeout_ms or base.timeout_ms
    return replace(base, title=title, timeout_ms=timeout_ms)


def _at_home(endpoints: Mapping[Protocol, str], base: Profile) -> bool:
    """Tell whether these addresses are all where the base is, by the same protocols."""
    known = {protocol: origin_of(url) for protocol, url in base.endpoints.items()}
    return all(known.get(protocol) == origin_of(url) for protocol, url in endpoints.items())


def _require_same_hosts(endpoints: Mapping[Protocol, str], base: Profile) -> None:
    """Refuse an address that would be sent the key of the base, which was meant for another."""
    known = {origin_of(url) for url in base.endpoints.values()}
    others = {origin_of(url) for url in endpoints.values()} - known
    nowhere = sorted({each.host for each in others} & NO_SUCH_HOSTS)
    if base.key is not None and others:
        raise UsageError(
            f"The profile {base.name} has an address at {min(others)}, where the shipped one of that name is"
            " not, and names no key for it.",
            hint=f"There is no service at {nowhere[0]}, which early samples named: take the address out, and the"
            " shipped one counts."
            if nowhere
            else f"Give it a reference: {known_forms()}. Or choose another name for the profile.",
            code="ai.profile_other_host",
        )


def check_profile(profile: Profile) -> None:
    """Raise what is wrong with a profile as a whole."""
    _check_texts(profile)
    if all(profile.protocol_for(client) is None for client in CLIENTS):
        raise UsageError(
            f"The profile {profile.name} has no address that a client can use.",
            hint=f"Give it one of {', '.join(ADDRESS_KEYS)}, and clients that can use it.",
            code="ai.profile_no_protocol",
        )
    if profile.auth == "native":
        _check_native(profile)
    elif profile.key is None:
        raise UsageError(
            f"The profile {profile.name} has no key.",
            hint=f"Give it a reference: {known_forms()}. For a client's own sign-in: auth: native.",
            code="ai.profile_no_key",
        )
    elif profile.key.variable in _CLEARED:
        raise UsageError(
            f"The profile {profile.name} has its key in {profile.key.place}, which a switch clears "
            "for Claude Code.",
            hint="Export the key under another name, for example CLAUDE_API_KEY.",
            code="ai.profile_key_name",
        )


def doubtful_hosts(profile: Profile) -> tuple[str, ...]:
    """Return the hosts of its addresses that early samples named and that do not exist."""
    hosts = {origin_of(url).host for url in profile.endpoints.values()}
    return tuple(sorted(hosts & NO_SUCH_HOSTS))


def entry_of(profile: Profile) -> ProfileEntry:
    """Return what a file says that describes this profile in full."""
    addresses = {key: profile.endpoints.get(spoken) for key, spoken in ADDRESS_KEYS.items()}
    return ProfileEntry(
        title=profile.title or None,
        auth=profile.auth,
        key=str(profile.key) if profile.key else None,
        key_header=profile.key_header,
        model=profile.model,
        small_model=profile.small_model,
        api_timeout_ms=profile.timeout_ms,
        clients=None if profile.clients is None else tuple(sorted(profile.clients)),
        **addresses,
    )


def _endpoints(name: str, entry: ProfileEntry) -> dict[Protocol, str]:
    given = {key: cast("str | None", getattr(entry, key)) for key in ADDRESS_KEYS}
    found = {key: url for key, url in given.items() if url is not None}
    for key, url in found.items():
        _check_address(name, key, url)
    return {ADDRESS_KEYS[key]: url for key, url in found.items()}


def _check_address(name: str, key: str, url: str) -> None:
    if "@" in url:
        raise UsageError(
            f"The address {key} of the profile {name} holds credentials.",
            hint="Remove them, and put a reference to the key into key.",
            code="ai.profile_address",
        )
    try:
        origin_of(url)
    except UsageError as error:
        if error.code == "secret.insecure_endpoint":
            raise UsageError(
                f"By the address {key} of the profile {name}, the key would travel unencrypted.",
                hint=error.hint,
                code="ai.profile_insecure",
            ) from error
        raise UsageError(
            f"The address {key} of the profile {name} is not an address.",
            hint="Write https://HOST/PATH: without a name, a password, a query or spaces.",
            code="ai.profile_address",
        ) from error


def _reference(name: str, text: str) -> Reference:
    try:
        return parse_reference(text)
    except UsageError as error:
        raise UsageError(
            f"The key of the profile {name} is not a reference. {error.message}",
            hint=error.hint,
            code="ai.profile_raw_key",
        ) from None


def _check_texts(profile: Profile) -> None:
    texts = {"title": profile.title, "model": profile.model, "small_model": profile.small_model}
    for what, text in texts.items():
        if not text:
            continue
        spaced = what != "title" and " " in text
        if spaced or len(text) > MAX_TEXT or not text.isprintable():
            raise UsageError(
                f"The profile {profile.name} has an invalid {what}.",
                hint="One line of at most 200 characters; the name of a model has no spaces.",
                code="ai.profile_text",
            )


def _check_native(profile: Profile) -> None:
    """Refuse to send a client's own login anywhere but to whom it belongs."""
    able = {name: client for name, client in CLIENTS.items() if client.own_url}
    clients = profile.clients or able.keys()
    own = {able[each].protocols[0]: origin_of(able[each].own_url) for each in clients & able.keys()}
    elsewhere = any(own.get(p) != origin_of(url) for p, url in profile.endpoints.items())
    if elsewhere or not clients <= able.keys():
        raise UsageError(
            f"The profile {profile.name} uses a client's own sign-in, which is for that client at its "
            "maker's address alone.",
            hint="For other addresses and clients: auth: key, and a reference in key.",
            code="ai.profile_native",
        )
