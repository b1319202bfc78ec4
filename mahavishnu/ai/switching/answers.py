"""What a provider's answer means: a verdict, and of a quota when it is given again. Pure."""

import json
import math
import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal, cast

from mahavishnu.ai.clients.delivery import Protocol

type AnswerVerdict = Literal[
    "ok",
    "auth",
    "quota",
    "overload",
    "not_found",
    "unreachable",
    "tls",
    "unexpected",
    "untried",
]

# Which member an answer of each protocol has; the list of models, that was asked for instead, has `data`.
_CONTENT: Mapping[Protocol, str] = {
    "anthropic": "content",
    "openai-responses": "output",
    "openai-chat": "choices",
}
_REFUSED = {401: "auth", 402: "quota", 403: "auth", 404: "not_found", 405: "not_found",
            503: "overload", 529: "overload"}  # fmt: skip
# Of what an error says, each kind: found in its type, code and message, in this order.
_WORDS: tuple[tuple[AnswerVerdict, re.Pattern[str]], ...] = (
    ("overload", re.compile(r"overload|at capacity|server (is )?busy|temporarily unavailable")),
    (
        "quota",
        re.compile(
            r"quota|insufficient.?(balance|funds|credit)|credit balance|exhausted|billing|usage.?limit"
        ),
    ),
    ("auth", re.compile(r"invalid.?api.?key|api key not valid|authentication.?error|unauthori[sz]ed")),
    (
        "not_found",
        re.compile(
            r"model.?not.?(found|exist)|unknown.?model|invalid.?model|"
            r"model.{0,80}(does not exist|not found|not supported|not available)"
        ),
    ),
)  # fmt: skip
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_LONGEST = timedelta(days=400)
_EPOCH_FROM_S = 1_000_000_000  # a number this large is a moment, not a span
_FOREIGN = "The answer is not one of this protocol."
_ELSEWHERE = "It redirects elsewhere; the key was not sent there."
_SHOWN = 200
_WINDOW = 6  # so many letters of a key, and the text is not shown
_ENCODED_WINDOW = 8  # as many in base64


@dataclass(frozen=True)
class Reading:
    """What an answer means; `detail` is the provider's own words, cut, and without the key."""

    verdict: AnswerVerdict
    detail: str = ""
    resets_at: datetime | None = None


def read_answer(
    protocol: Protocol,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    key: str,
    now: datetime,
) -> Reading:
    """
    Return what an answer means; the names of `headers` are in small letters.

    A limit of requests counts as quota where the answer says so or when it ends, else as overload.
    """
    values = _object(body)
    kind, message = _error_of(values)
    detail = " ".join(filter(None, (kind, message)))
    if status < 300 and not detail:
        whole = _CONTENT[protocol] in values or isinstance(values.get("data"), list)
        return Reading("ok" if whole else "unexpected", "" if whole else _FOREIGN)
    if 300 <= status < 400:
        return Reading("unexpected", _ELSEWHERE)
    verdict = _verdict(status, detail.lower(), headers)
    resets_at = find_reset(headers, now=now) if verdict == "quota" else None
    return Reading(verdict, quotable(detail, key), resets_at)


def _verdict(status: int, words: str, headers: Mapping[str, str]) -> AnswerVerdict:
    # What a quota is called differs, and some say by 400 or 403 what others say by 429.
    said = next((verdict for verdict, pattern in _WORDS if pattern.search(words)), None)
    if status == 429:
        if said in ("overload", "quota"):
            return said
        return "quota" if _tells_limit(headers) else "overload"
    if status in (401, 404):
        return cast(AnswerVerdict, _REFUSED[status])
    if said is not None and (status in (200, 400, 403, 422) or status >= 500):
        return said
    return cast(AnswerVerdict, _REFUSED.get(status, "unexpected"))


def _tells_limit(headers: Mapping[str, str]) -> bool:
    return any(name in headers for name in ("retry-after", "retry-after-ms")) or any(
        "ratelimit" in name and "reset" in name for name in headers
    )


def find_reset(headers: Mapping[str, str], *, now: datetime) -> datetime | None:
    """
    Return when to ask again: what Retry-After says, else the last of the limits that are used up.

    Where none says that it is used up, the last of all. None where nothing that can be read is there.
    """
    if (plain := headers.get("retry-after-ms")) and (moment := _moment(f"{plain}ms", now)):
        return moment
    if (after := headers.get("retry-after")) and (moment := _moment(after, now)):
        return moment
    resets = {
        name: moment
        for name, value in headers.items()
        if "ratelimit" in name and "reset" in name and (moment := _moment(value, now))
    }
    used_up = {name for name in resets if _remaining(headers, name) == "0"}
    return max((resets[name] for name in used_up or resets), default=None)


def _remaining(headers: Mapping[str, str], reset: str) -> str | None:
    return headers.get(reset.replace("reset", "remaining"))


def _moment(text: str, now: datetime) -> datetime | None:
    """Return the moment that a header's value is: a span from now on, or a date in one of three forms."""
    text = text.strip()
    try:
        if (seconds := _seconds(text)) is not None:
            base = datetime.fromtimestamp(0, UTC) if seconds >= _EPOCH_FROM_S else now
            found = base + timedelta(seconds=seconds)
        elif text[:4].isdecimal():
            found = datetime.fromisoformat(text)
        else:
            found = parsedate_to_datetime(text)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return max(found, now) if found - now < _LONGEST else None
    except (ValueError, OverflowError):
        return None


def _seconds(text: str) -> float | None:
    """Return the length of `12`, `1.5`, `6m0s` or `20ms`; None for what is no span."""
    try:
        seconds = float(text)
    except ValueError:
        parts = _SPAN.findall(text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            return None
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def quotable(text: str, key: str) -> str:
    """Return a foreign text as one short line; nothing, if any of the key is in it."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if _tells(line, key):
        return ""
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}..."


def _tells(line: str, key: str) -> bool:
    """Tell whether any of the key is in a line: as it is, spaced out, or somewhere in base64."""
    bare = _bare(line)
    return (
        _has_window(line, key, _WINDOW)
        or _has_window(bare, _bare(key), _WINDOW)
        or any(_has_window(bare, each, _ENCODED_WINDOW) for each in _encoded(key))
    )


def _has_window(text: str, secret: str, size: int) -> bool:
    starts = range(max(len(secret) - size, 0) + 1) if secret else ()
    return any(secret[start : start + size] in text for start in starts)


def _bare(text: str) -> str:
    """Return the letters and digits alone: what is between them can be anything."""
    return "".join(letter for letter in text if letter.isascii() and letter.isalnum())


def _encoded(key: str) -> Iterator[str]:
    """Yield what base64 has of the key, wherever it begins in the encoded text; other letters are dropped."""
    for before in range(3):
        content = b" " * before + key.encode()
        whole = slice(
            -(-8 * before // 6), 8 * len(content) // 6
        )  # no letter has bits of a neighbour
        yield _bare(b64encode(content).decode()[whole])


def _object(body: bytes) -> dict[str, Any]:
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _error_of(values: Mapping[str, Any]) -> tuple[str, str]:
    """Return type or code, and message, of what an answer has under `error`, in any of the usual forms."""
    error = values.get("error")
    if isinstance(error, str):
        return "", error
    if not isinstance(error, dict):
        message = values.get("message")
        failed = isinstance(message, str) and "code" in values
        return (str(values["code"]), str(message)) if failed else ("", "")
    kinds = [error.get(name) for name in ("code", "type")]
    named = dict.fromkeys(each for each in kinds if isinstance(each, str))
    message = error.get("message")
    text = message if isinstance(message, str) else ""
    return " ".join(named), text or ("" if named else "error")
