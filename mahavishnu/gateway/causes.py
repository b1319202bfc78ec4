"""
Why a provider did not answer, and what follows from it. Pure.

A quota cools the profile until it is given again and says nothing of the provider's health; overload, network and
the provider's own faults count against it; after a refused key or a mistake of the client nobody else is asked.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

from mahavishnu.ai.clients.delivery import Protocol
from mahavishnu.ai.switching.answers import find_reset, read_answer

type Cause = Literal["quota", "overload", "auth", "network", "provider", "client"]

# How long a quota cools where nobody says until when: a limit of a minute, and what has to be paid or waited for.
RATE_COOLS = timedelta(seconds=60)
EXHAUSTED_COOLS = timedelta(minutes=15)
LONGEST_COOLS = timedelta(days=40)  # a month's limit, and some
MAX_BODY = 64 * 1024
_MOVES_ON = frozenset({"quota", "overload", "network", "provider"})
_COUNTS = frozenset({"overload", "network", "provider"})
_UNIFIED = "anthropic-ratelimit-unified-reset"
# Codes of MiniMax's `base_resp`, which come with a 200 as well. Source: platform.minimax.io, error codes.
_MINIMAX: Mapping[int, Cause] = {
    1002: "quota", 1008: "quota", 1028: "quota", 1030: "quota", 2056: "quota", 2061: "quota", 1004: "auth",
    2049: "auth", 1026: "client", 1027: "client", 1039: "client", 2013: "client",
}  # fmt: skip
_EXHAUSTED = re.compile(
    r"insufficient|balance|exhausted|billing|usage.?limit|spend.?limit|current.?quota|free (allocated )?quota"
    r"|arrearage|overdue|in good standing|\b(1113|1308|1310|2056|1008)\b"
)
# Of one account or key: another may do. Source: help.aliyun.com, Model Studio, error codes.
_UNPAID = re.compile(r"arrearage|account is in good standing|api usage limits|spend.?limit")
# Of errors that come with a 200: the status that the same type, or code, has otherwise.
_KINDS: tuple[tuple[int, re.Pattern[str]], ...] = (
    (401, re.compile(r"authentication_error|invalid_api_key")),
    (403, re.compile(r"permission")),
    (429, re.compile(r"rate.?limit|insufficient_quota|quota_exceeded")),
    (529, re.compile(r"overloaded")),
    (404, re.compile(r"not_found")),
    (413, re.compile(r"request_too_large")),
    (400, re.compile(r"invalid_request|invalid_prompt|context_length")),
)
_OVERLOADED = re.compile(r"overload|at capacity|server (is )?busy|engine_overloaded")
_DATED = re.compile(
    r"(?:reset|regain access|available|重置|恢复)[^0-9]{0,40}?(\d{4}-\d\d-\d\d)(?:[T ]| at )(\d\d:\d\d(?::\d\d)?)"
    r"\s?(Z|UTC|[+-]\d\d:?\d\d)?"
    r"|(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\s?(?:重置|恢复)",
    re.IGNORECASE,
)
_STAMPED = re.compile(r"usage limit reached\|(\d{10})\b")
_SPAN = re.compile(
    r"(?:try again|retry|reset\w*) (?:in|after) ((?:\d+(?:\.\d+)?(?:ms|[dhms])\s?)+)"
)
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
# GLM dates its resets without a zone, in that of Beijing; read so, another's would just be tried too early.
_BEIJING = timezone(timedelta(hours=8))


@dataclass(frozen=True, kw_only=True)
class ProviderFailure:
    """
    Why a request failed.

    `until` is when to ask again, of a quota alone. `status` is what the provider answered, 0 where it did not.
    `begun`: the client had a part of the answer already.
    """

    cause: Cause
    until: datetime | None = None
    status: int = 0
    begun: bool = False

    @property
    def moves_on(self) -> bool:
        """Whether the next profile of a chain may be asked instead."""
        return self.cause in _MOVES_ON

    @property
    def counts(self) -> bool:
        """Whether it says that the provider is not well."""
        return self.cause in _COUNTS


def classify(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    protocol: Protocol,
    *,
    now: datetime | None = None,
) -> ProviderFailure | None:
    """
    Return why a whole answer is a failure, None where it is not one; the names of `headers` are in small letters.

    Of a stream that began, `outcome` tells.
    """
    now = now or datetime.now(UTC)
    values = _object(body)
    if (known := _minimax(values)) is not None:
        cause = known
    elif status < 300 and not _says_error(values):
        return None
    else:
        told = status if status >= 300 else _status_within(values)
        cause = _cause_of(told, headers, body, protocol, now)
    until = find_until(headers, body, now=now) if cause == "quota" else None
    return ProviderFailure(cause=cause, until=until, status=status)


def classify_event(
    error: Mapping[str, Any], protocol: Protocol, *, now: datetime | None = None
) -> ProviderFailure:
    """Return why a stream ended with an error event; the answer's status was 200."""
    body = json.dumps({"error": error}).encode()
    found = classify(200, {}, body, protocol, now=now)
    return found or ProviderFailure(cause="provider", status=200)  # an error without a word


def find_until(headers: Mapping[str, str], body: bytes, *, now: datetime) -> datetime:
    """Return when a quota is given again: as the answer says, else after a time that fits what it says."""
    values = _object(body)
    # Parsed and written again, since some escape what is not ASCII.
    text = (
        json.dumps(values, ensure_ascii=False)
        if values
        else body[:MAX_BODY].decode(errors="replace")
    )
    found = _from_fields(values, now) or _from_headers(headers, now) or _from_text(text, now)
    if found is not None and found - now < LONGEST_COOLS:
        return max(found, now)
    return now + (EXHAUSTED_COOLS if _EXHAUSTED.search(text.lower()) else RATE_COOLS)


def _cause_of(
    status: int, headers: Mapping[str, str], body: bytes, protocol: Protocol, now: datetime
) -> Cause:
    words = body[:MAX_BODY].decode(errors="replace").lower()
    if status == 429:
        return "overload" if _OVERLOADED.search(words) and not _EXHAUSTED.search(words) else "quota"
    if status in (400, 403) and _UNPAID.search(words):
        return "quota"
    verdict = read_answer(protocol, status, headers, body, key="", now=now).verdict
    if verdict in ("auth", "quota", "overload"):
        return verdict
    if verdict == "not_found" or (400 <= status < 500 and status not in (408, 425)):
        return "client"
    return "provider"


def _status_within(values: Mapping[str, Any]) -> int:
    """Return the status that an error within an answer of success has otherwise; 500 where it does not say."""
    error = values.get("error")
    said = error if isinstance(error, dict) else values
    for name in ("code", "status", "status_code"):
        code = str(said.get(name))
        if code.isdecimal() and 400 <= int(code[:9]) < 600:
            return int(code)
    kind = f"{said.get('type', '')} {said.get('code', '')}"
    return next((status for status, words in _KINDS if words.search(kind)), 500)


def _minimax(values: Mapping[str, Any]) -> Cause | None:
    answer = values.get("base_resp")
    code = answer.get("status_code") if isinstance(answer, dict) else None
    return _MINIMAX.get(code, "provider") if isinstance(code, int) and code else None


def _says_error(values: Mapping[str, Any]) -> bool:
    """Tell whether an answer of success has an error all the same."""
    error = values.get("error")
    return bool(error) or (isinstance(values.get("message"), str) and "code" in values)


def _from_headers(headers: Mapping[str, str], now: datetime) -> datetime | None:
    unified = headers.get(_UNIFIED)
    if unified and not headers.get("retry-after"):
        # Beside it are those of five hours and of the week, one of which it is.
        return find_reset({_UNIFIED: unified}, now=now)
    return find_reset(headers, now=now)


def _from_fields(values: Mapping[str, Any], now: datetime) -> datetime | None:
    """Return what members of an error say, as those of Codex's plans."""
    error = values.get("error")
    if not isinstance(error, dict):
        return None
    seconds, moment = error.get("resets_in_seconds"), error.get("resets_at")
    try:
        if isinstance(moment, int | float):
            return datetime.fromtimestamp(moment, UTC)
        if isinstance(moment, str):
            found = datetime.fromisoformat(moment)
            return found if found.tzinfo else found.replace(tzinfo=UTC)
        return now + timedelta(seconds=seconds) if isinstance(seconds, int | float) else None
    except (ValueError, OverflowError, OSError):
        return None


def _from_text(text: str, now: datetime) -> datetime | None:
    try:
        if found := _DATED.search(text):
            day, time, zone = found[1] or found[4], found[2] or found[5], found[3]
            moment = datetime.fromisoformat(f"{day}T{time}{'' if zone in (None, 'UTC') else zone}")
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC if zone else _BEIJING)
            return moment
        if found := _STAMPED.search(text):
            return datetime.fromtimestamp(int(found[1]), UTC)
    except (ValueError, OverflowError):
        return None
    if found := _SPAN.search(text.lower()):
        seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(found[1]))
        return now + timedelta(seconds=min(seconds, LONGEST_COOLS.total_seconds()))
    return None


def _object(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body) if len(body) <= MAX_BODY else None
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}
