"""What providers answer when they do not, as documented or seen, and what the gateway makes of it."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.gateway.causes import EXHAUSTED_COOLS, RATE_COOLS, classify, classify_event

NOW = datetime(2026, 9, 4, 8, 0, tzinfo=UTC)
IN_HOURS = int(NOW.timestamp()) + 13_872


def anthropic(kind: str, message: str = "", **more: object) -> dict[str, object]:
    return {"type": "error", "error": {"type": kind, "message": message, **more}, "request_id": "r"}


def openai(message: str, kind: str | None = None, code: str | None = None) -> dict[str, object]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def glm(code: str, message: str) -> dict[str, object]:
    return {"error": {"code": code, "message": message}}


def minimax(code: int, message: str) -> dict[str, object]:
    return {"id": "x", "base_resp": {"status_code": code, "status_msg": message}}


FAILURES = [
    # Anthropic
    (529, anthropic("overloaded_error", "Overloaded"), "overload"),
    (429, anthropic("rate_limit_error", "This request would exceed your account's rate limit."), "quota"),
    (400, anthropic("invalid_request_error", "Your credit balance is too low to access the API"), "quota"),
    (400, anthropic("invalid_request_error", "You have reached your specified API usage limits."), "quota"),
    (402, anthropic("billing_error", "x"), "quota"),
    (401, anthropic("authentication_error", "invalid x-api-key"), "auth"),
    (403, anthropic("permission_error", "x"), "auth"),
    (400, anthropic("invalid_request_error", "max_tokens: too small"), "client"),
    (413, anthropic("request_too_large", "x"), "client"),
    (404, anthropic("not_found_error", "model: x"), "client"),
    (500, anthropic("api_error", "Internal server error"), "provider"),
    (504, anthropic("timeout_error", "x"), "provider"),
    # OpenAI
    (429, openai("Rate limit reached. Please try again in 1.574s.", "tokens", "rate_limit_exceeded"), "quota"),
    (429, openai("You exceeded your current quota", "insufficient_quota", "insufficient_quota"), "quota"),
    (401, openai("Incorrect API key provided", "invalid_request_error", "invalid_api_key"), "auth"),
    (400, openai("Maximum context length", "invalid_request_error", "context_length_exceeded"), "client"),
    (503, openai("The engine is currently overloaded", "server_error"), "overload"),
    (400, openai("The service is overloaded", "server_error"), "overload"),
    # DashScope
    (429, openai("Requests rate limit exceeded, please try again later.", "limit_requests", "limit_requests"), "quota"),
    (429, {"code": "Throttling.AllocationQuota", "message": "Free allocated quota exceeded."}, "quota"),
    (400, {"code": "Arrearage", "message": "Make sure your account is in good standing."}, "quota"),
    (401, openai("Incorrect API key provided.", "invalid_request_error", "invalid_api_key"), "auth"),
    # DeepSeek
    (402, openai("Insufficient Balance", "unknown_error", "invalid_request_error"), "quota"),
    (503, b"", "overload"),
    (422, openai("Invalid parameters"), "client"),
    # GLM
    (429, glm("1308", "Usage limit reached for 5 hour. Your limit will reset at 2026-09-04 19:01:25"), "quota"),
    (429, glm("1302", "High concurrency usage of this API, please reduce concurrency"), "quota"),
    (429, glm("1305", "The service may be temporarily overloaded, please try again later"), "overload"),
    (429, glm("1113", "Insufficient balance or no resource package. Please recharge."), "quota"),
    (200, {"code": 1113, "message": "Insufficient balance"}, "quota"),
    # Kimi
    (429, openai("The engine is currently overloaded, please try again later", "engine_overloaded_error"), "overload"),
    (429, openai("Your account is suspended due to insufficient balance", "exceeded_current_quota_error"), "quota"),
    (429, openai("max organization concurrency: 3", "rate_limit_reached_error"), "quota"),
    (401, openai("Invalid Authentication", "invalid_authentication_error"), "auth"),
    # MiniMax
    (200, minimax(1008, "insufficient balance"), "quota"),
    (200, minimax(1002, "rate limit"), "quota"),
    (200, minimax(1004, "not authorized"), "auth"),
    (200, minimax(1000, "unknown error"), "provider"),
    (200, minimax(1026, "sensitive"), "client"),
    # Anyone
    (307, b"", "provider"),
    (502, b"<html>Bad gateway</html>", "provider"),
    (429, b"", "quota"),
    (200, anthropic("api_error", "x"), "provider"),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "cause"), FAILURES)
def test_an_answer_has_a_cause(status: int, body: object, cause: str) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    found = classify(status, {}, raw, "anthropic", now=NOW)
    assert found is not None and found.cause == cause
    assert found.moves_on == (cause not in ("auth", "client"))
    assert found.counts == (cause in ("overload", "provider"))
    assert (found.until is not None) == (cause == "quota")


@pytest.mark.parametrize(
    "body",
    [
        {"type": "message", "content": [], "error": None},
        {"object": "list", "data": []},
        {"input_tokens": 12},
        minimax(0, "success"),
        b"<html>",
    ],
)
def test_an_answer_of_success_is_no_failure(body: object) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert classify(200, {}, raw, "anthropic", now=NOW) is None


@pytest.mark.parametrize(
    ("headers", "body", "after"),
    [
        ({"retry-after": "30"}, anthropic("rate_limit_error"), timedelta(seconds=30)),
        # Anthropic's plans: which of the two limits it is, the unified one says.
        (
            {
                "anthropic-ratelimit-unified-reset": str(IN_HOURS),
                "anthropic-ratelimit-unified-5h-reset": str(IN_HOURS),
                "anthropic-ratelimit-unified-7d-reset": str(IN_HOURS + 400_000),
            },
            anthropic("rate_limit_error"),
            timedelta(seconds=13_872),
        ),
        (
            {},
            anthropic(
                "rate_limit_error",
                "You have reached your API usage limits. You will regain access on 2026-10-01 at 00:00 UTC.",
                details={"error_code": "enforced_spend_limit_reached"},
            ),
            datetime(2026, 10, 1, tzinfo=UTC) - NOW,
        ),
        ({}, anthropic("rate_limit_error", f"usage limit reached|{IN_HOURS}"), timedelta(seconds=13_872)),
        # Codex's plans
        (
            {},
            {"error": {"type": "usage_limit_reached", "resets_at": IN_HOURS, "resets_in_seconds": 5}},
            timedelta(seconds=13_872),
        ),
        ({}, {"error": {"type": "usage_limit_reached", "resets_in_seconds": 77}}, timedelta(seconds=77)),
        ({}, {"error": {"type": "x", "resets_at": "2026-09-04T09:00:00Z"}}, timedelta(hours=1)),
        ({}, openai("Please try again in 6m0s."), timedelta(minutes=6)),
        ({"x-ratelimit-reset-requests": "1s"}, openai("Rate limit"), timedelta(seconds=1)),
        # GLM, in the time of Beijing
        ({}, glm("1308", "Usage limit reached. Your limit will reset at 2026-09-04 19:00:00"), timedelta(hours=3)),
        ({}, glm("1308", "已达到 5 小时的使用上限。您的限额将在 2026-09-04 19:00:00 重置。"), timedelta(hours=3)),
        # MiniMax
        (
            {},
            anthropic("rate_limit_error", "5-hour usage limit reached, resets at 2026-09-04T10:00:00Z (2056)"),
            timedelta(hours=2),
        ),
        # Nobody says
        ({}, glm("1113", "Insufficient balance"), EXHAUSTED_COOLS),
        ({}, anthropic("rate_limit_error", "slow down"), RATE_COOLS),
        # What is past, or beyond all limits
        ({"retry-after": "Fri, 20 Nov 2020 13:00:00 GMT"}, anthropic("rate_limit_error"), timedelta()),
        ({}, {"error": {"resets_at": IN_HOURS * 10}}, RATE_COOLS),
        ({}, {"error": {"resets_at": 1e300}}, RATE_COOLS),
    ],
)  # fmt: skip
def test_a_quota_is_cooled_until_it_is_given_again(
    headers: dict[str, str], body: object, after: timedelta
) -> None:
    found = classify(429, headers, json.dumps(body).encode(), "anthropic", now=NOW)
    assert found is not None and found.cause == "quota"
    assert found.until == NOW + after


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, "overload"),
        ({"type": "api_error", "message": "Internal server error"}, "provider"),
        ({"code": "rate_limit_exceeded", "message": "Rate limit reached. Try again in 11s."}, "quota"),
        ({"code": "insufficient_quota", "message": "You exceeded your current quota"}, "quota"),
        ({"type": "invalid_request_error", "message": "prompt is too long"}, "client"),
        ({"code": "server_is_overloaded", "message": "x"}, "overload"),
        ({"type": "authentication_error", "message": "x"}, "auth"),
        ({"type": "permission_error", "message": "x"}, "auth"),
        ({"type": "not_found_error", "message": "x"}, "client"),
        ({"type": "request_too_large", "message": "x"}, "client"),
        ({"code": "context_length_exceeded", "message": "x"}, "client"),
        ({"code": 401, "message": "x"}, "auth"),
        ({"code": "429", "message": "x"}, "quota"),
        ({"code": 400, "message": "x"}, "client"),
        ({"code": 502, "message": "x"}, "provider"),
        ({}, "provider"),
    ],
)  # fmt: skip
def test_an_error_in_a_success_has_its_cause(error: dict[str, object], cause: str) -> None:
    assert classify_event(error, "anthropic", now=NOW).cause == cause
    body = json.dumps({"type": "error", "error": error or {"message": "x"}}).encode()
    whole = classify(200, {}, body, "anthropic", now=NOW)
    assert whole is not None and whole.cause == cause


@given(st.binary(max_size=200), st.integers(100, 599), st.text(max_size=40))
def test_no_answer_is_too_odd(body: bytes, status: int, text: str) -> None:
    classify(status, {"retry-after": text}, body, "openai-chat", now=NOW)
    classify(status, {}, json.dumps({"error": text}).encode(), "openai-chat", now=NOW)
