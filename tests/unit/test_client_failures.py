"""What the files of clients' sessions say of requests; the lines are as the pinned clients wrote them."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mahavishnu.ai.clients.failures import RecordedRequest, find_attempts
from mahavishnu.ai.clients.table import CLIENTS

AT = "2026-11-25T00:15:35.032Z"
BODY = '529 {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'


def claude(**members: Any) -> dict[str, Any]:
    return {"timestamp": AT, "cwd": "/w", **members}


def codex(error: object) -> dict[str, Any]:
    return {"timestamp": AT, "payload": {"type": "task_complete", "error": error}}


def qwen(name: str, **members: Any) -> dict[str, Any]:
    event = {"event.name": name, **members}
    return claude(type="system", subtype="ui_telemetry", systemPayload={"uiEvent": event})


def retried(status: int | None, message: str) -> dict[str, Any]:
    return claude(type="system", subtype="api_error", error={"status": status, "message": message})


def answered(model: str, **members: Any) -> dict[str, Any]:
    return claude(type="assistant", message={"model": model}, **members)


CODEX = {
    "message": "unexpected status 529 <unknown status code>: Overloaded, url: http://x/responses"
}


@pytest.mark.parametrize(
    ("client", "line", "found"),
    [
        ("claude-code", retried(529, BODY), (True, 529)),
        ("claude-code", retried(None, "Connection error."), (True, 0)),
        ("claude-code", answered("<synthetic>", isApiErrorMessage=True, apiErrorStatus=401), (True, 401)),
        ("claude-code", answered("claude-opus-5"), (False, 0)),
        ("claude-code", answered("<synthetic>"), None),
        ("claude-code", claude(type="user", message={"content": BODY}), None),
        ("codex", codex(CODEX), (True, 529)),
        ("codex", codex({"message": "stream disconnected before completion"}), (True, 0)),
        ("codex", codex(None), (False, 0)),
        ("codex", {"timestamp": AT, "payload": {"type": "agent_message", "message": "unexpected status 529"}}, None),
        ("qwen", qwen("qwen-code.api_error", status_code=529, error_message="529 Overloaded"), (True, 529)),
        ("qwen", qwen("qwen-code.api_response", status_code=200), (False, 0)),
        ("qwen", qwen("qwen-code.tool_call"), None),
        ("qwen", {"timestamp": "?", "systemPayload": {"uiEvent": {"event.name": "qwen-code.api_error"}}}, None),
    ],
)  # fmt: skip
def test_requests_are_read_from_the_lines_of_each_client(
    client: str, line: dict[str, Any], found: tuple[bool, int] | None
) -> None:
    attempt = CLIENTS[client].sessions.read_attempt(line)
    assert (attempt and (attempt.failed, attempt.status)) == found


@pytest.mark.parametrize(
    ("client", "where", "line"),
    [
        ("claude-code", "projects/-w/s.jsonl", retried(529, "")),
        ("codex", "sessions/2026/11/25/rollout-x.jsonl", codex(CODEX)),
        ("qwen", "projects/-w/chats/s.jsonl", qwen("qwen-code.api_error", status_code=529)),
    ],
)  # fmt: skip
def test_they_are_found_with_the_folder_of_their_session_and_once(
    tmp_path: Path, client: str, where: str, line: dict[str, Any]
) -> None:
    path = tmp_path / where
    path.parent.mkdir(parents=True)
    head = {"timestamp": AT, "type": "session_meta", "payload": {"cwd": "/w"}, "cwd": "/w"}
    path.write_text(f"{json.dumps(head)}\n{json.dumps(line)}\n{{torn")
    port, at = CLIENTS[client].sessions, datetime.fromisoformat(AT)

    def find(since: datetime) -> list[tuple[RecordedRequest, str]]:
        return list(find_attempts(tmp_path, port.FILES, port.read_attempt, since=since))

    [(attempt, folder)] = find(at - timedelta(seconds=1))
    assert attempt.failed and attempt.at == at and folder == "/w"
    assert find(at) == []
    os.utime(path, (0, 0))
    assert find(datetime.fromtimestamp(1, UTC)) == []
