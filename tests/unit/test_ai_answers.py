"""What providers answer, in the forms they were seen or are documented to, and what is made of it."""

import json
from base64 import b64encode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.ai.clients.delivery import Protocol
from mahavishnu.ai.switching.answers import Reading, find_reset, quotable, read_answer

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
KEY = "sk-canary-0123456789"


def read(
    status: int,
    body: object = None,
    *,
    protocol: Protocol = "anthropic",
    **headers: str,
) -> Reading:
    """Read an answer; `_` in the name of a header stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_answer(protocol, status, named, raw, key=KEY, now=NOW)


def error(kind: str, message: str = "") -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message}}


@pytest.mark.parametrize(
    ("protocol", "body"),
    [
        ("anthropic", {"type": "message", "content": []}),
        ("openai-responses", {"object": "response", "output": [], "error": None}),
        ("openai-chat", {"choices": []}),
        ("openai-chat", {"object": "list", "data": []}),
    ],
)
def test_an_answer_of_the_protocol_is_ok(protocol: Protocol, body: object) -> None:
    assert read(200, body, protocol=protocol).verdict == "ok"


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (401, error("authentication_error", "invalid x-api-key"), "auth"),
        (401, b"", "auth"),
        (403, error("permission_error", "not allowed"), "auth"),
        (400, error("invalid_request_error", "API key not valid."), "auth"),
        (402, b"", "quota"),
        (403, {"error": {"code": "insufficient_quota", "message": "x"}}, "quota"),
        (400, error("invalid_request_error", "Your credit balance is too low"), "quota"),
        (429, {"error": {"code": "insufficient_quota", "message": "x"}}, "quota"),
        (429, error("rate_limit_error", "slow down"), "overload"),
        (429, b"", "overload"),
        (429, error("engine_overloaded_error", "The engine is overloaded"), "overload"),
        (529, error("overloaded_error", "Overloaded"), "overload"),
        (503, b"<html>", "overload"),
        (500, error("api_error", "Overloaded"), "overload"),
        (400, error("invalid_request_error", "The system is overloaded"), "overload"),
        (404, error("not_found_error", "model: x"), "not_found"),
        (404, b"<html>", "not_found"),
        (400, {"error": {"code": "model_not_found", "message": "x"}}, "not_found"),
        (400, {"error": {"message": "The model `x` does not exist"}}, "not_found"),
        (422, {"error": "unknown model"}, "not_found"),
        (400, error("invalid_request_error", "max_tokens is too small"), "unexpected"),
        (500, error("api_error", "x"), "unexpected"),
        (200, b"<html>Welcome</html>", "unexpected"),
        (200, {"choices": []}, "unexpected"),
        (200, [], "unexpected"),
        (200, error("api_error", "x"), "unexpected"),
        (200, {"code": 1113, "message": "Insufficient balance"}, "quota"),
        (307, b"", "unexpected"),
    ],
)
def test_what_an_error_means(status: int, body: object, verdict: str) -> None:
    assert read(status, body).verdict == verdict


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "30"}, 30),
        ({"retry_after_ms": "1500"}, 1.5),
        ({"retry_after": "Sat, 21 Nov 2026 13:00:00 GMT"}, 3_600),
        ({"anthropic_ratelimit_requests_reset": "2026-11-21T12:05:00Z"}, 300),
        ({"anthropic_ratelimit_unified_reset": str(int(NOW.timestamp()) + 60)}, 60),
        ({"x_ratelimit_reset_requests": "6m0s"}, 360),
        ({"x_ratelimit_reset_tokens": "20ms"}, 0.02),
        ({"x_ratelimit_reset": "1h2m3s"}, 3_723),
        ({"retry_after": "5", "x_ratelimit_reset_requests": "6m0s"}, 5),
        ({"retry_after": "soon", "x_ratelimit_reset_requests": "6m0s"}, 360),
        ({"retry_after": "Fri, 20 Nov 2026 13:00:00 GMT"}, 0),
    ],
)
def test_a_quota_says_when_it_is_given_anew(headers: dict[str, str], seconds: float) -> None:
    reading = read(429, error("rate_limit_error"), **headers)
    assert reading.verdict == "quota"
    assert reading.resets_at == NOW + timedelta(seconds=seconds)


def test_of_several_limits_the_one_that_is_used_up_counts() -> None:
    headers = {
        "anthropic-ratelimit-tokens-remaining": "500",
        "anthropic-ratelimit-tokens-reset": "2026-11-21T13:00:00Z",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-21T12:01:00Z",
    }
    assert find_reset(headers, now=NOW) == NOW + timedelta(minutes=1)
    openai = {
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-remaining-tokens": "9",
        "x-ratelimit-reset-tokens": "6m0s",
    }
    assert find_reset(openai, now=NOW) == NOW + timedelta(seconds=1)


@pytest.mark.parametrize(
    "value", ["", "never", "-5", "nan", "inf", "9" * 30, "2026-99-99T00:00:00Z"]
)
def test_a_moment_that_is_none(value: str) -> None:
    assert find_reset({"retry-after": value}, now=NOW) is None


@given(st.binary(max_size=200), st.integers(100, 599), st.text(max_size=40))
def test_no_answer_is_too_odd(body: bytes, status: int, header: str) -> None:
    headers = {"retry-after": header, "x-ratelimit-reset-requests": header}
    read_answer("openai-chat", status, headers, body, key=KEY, now=NOW)


@pytest.mark.parametrize("text", [f"Bad key: {KEY}", f"Bad key: {KEY[:8]}***", f"...{KEY[-6:]}"])
def test_a_text_with_a_part_of_the_key_is_not_shown(text: str) -> None:
    assert KEY[:6] not in read(401, error("authentication_error", text)).detail
    assert quotable(text, KEY) == ""


@pytest.mark.parametrize("text", [
    " ".join(KEY), "-".join(KEY), "\n".join(KEY), KEY.replace("-", ""), f"s k - {' '.join(KEY[4:12])}",
    *(b64encode(f"{before}{KEY}{after}".encode()).decode() for before in ("", "x", ":-") for after in ("", "?>")),
    urlsafe_b64encode(f"Bearer {KEY}".encode()).decode(), b64encode(KEY.encode()).decode()[3:-6],
])  # fmt: skip
def test_a_text_with_the_key_in_another_form_is_not_shown(text: str) -> None:
    assert quotable(f"I was sent {text}!", KEY) == ""


def test_other_texts_are_shown() -> None:
    for text in ("The model large is not there.", b64encode(b"something else, and long").decode()):
        assert quotable(text, KEY) == text
    assert quotable("No key was sent", "") == "No key was sent"


def test_a_foreign_text_is_one_short_line() -> None:
    shown = quotable("a\x1b[31m\nb" + "x" * 500, KEY)
    assert "\x1b" not in shown and "\n" not in shown and len(shown) < 210
