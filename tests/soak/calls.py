"""Calls of a running daemon over its HTTP API and MCP; what fails has a code."""

import json
from typing import Any

import httpx

ERA = "2026-07-28"
LATER = (
    "database.",
    "spool.",
    "embedding.",
    "service.",
)  # what a tool refuses with these may succeed later


class Refused(Exception):
    """A call that failed: by which code, and whether the same call may succeed later."""

    def __init__(self, code: str, said: str, *, again: bool) -> None:
        super().__init__(code)
        self.code, self.said, self.again = code, said, again


async def call_api(
    http: httpx.AsyncClient, method: str, path: str, body: dict[str, Any]
) -> dict[str, Any]:
    """Return the answer of a route of the HTTP API."""
    given: dict[str, Any] = {"params" if method == "GET" else "json": body}
    return _read(await _send(http.request(method, f"/api/v1/{path}", **given)))


async def call_mcp(http: httpx.AsyncClient, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the answer of a tool over MCP without a session."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": ERA,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"name": tool, "arguments": arguments, "_meta": meta}
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": ERA,
               "mcp-method": "tools/call", "mcp-name": tool}  # fmt: skip
    answer = await _send(http.post("/mcp", json=message, headers=headers))
    if answer.text.startswith("{"):
        body = _read(answer)
    else:
        lines = [line[5:] for line in answer.text.splitlines() if line.startswith("data:")]
        if not lines:
            raise Refused("mcp.cut_off", answer.text[-200:], again=True)
        body = json.loads(lines[-1])
    if "result" not in body:
        raise Refused("mcp.error", json.dumps(body)[:500], again=False)
    result: dict[str, Any] = body["result"]
    if result.get("isError"):
        error = result.get("_meta", {}).get("mahavishnu/error", {})
        said = json.dumps(result.get("content"))[:500]
        code = error.get("code", "mcp.bare_error")
        raise Refused(code, said, again=code.startswith(LATER))
    structured: dict[str, Any] = result["structuredContent"]
    return structured


async def _send(sending: Any) -> httpx.Response:
    try:
        answer: httpx.Response = await sending
    except httpx.TransportError as error:
        raise Refused(type(error).__name__, str(error), again=True) from error
    return answer


def _read(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code >= 400:
        try:
            code = answer.json()["error"]["code"]
        except (ValueError, KeyError, TypeError):
            code = f"http {answer.status_code}"
        raise Refused(code, answer.text[:500], again=answer.status_code in (429, 503))
    body: dict[str, Any] = answer.json()
    return body
