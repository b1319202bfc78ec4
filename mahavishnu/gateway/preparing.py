"""A request of Anthropic's Messages without what OpenAI's protocols cannot say; what is left out is named. Pure."""

from collections.abc import Iterator
from typing import Any

# Texts for people that a provider does not need, what only Anthropic knows, and whose the request is.
_LEFT_OUT = frozenset(
    {"metadata", "context_management", "betas", "container", "mcp_servers", "service_tier"}
)
_THOUGHTS = frozenset({"thinking", "redacted_thinking"})
_SAID = frozenset({"text", "image", "tool_use", "tool_result"})

type _Part = dict[str, Any]


def prepare(body: dict[str, Any], model: str) -> dict[str, Any]:
    """
    Return a request that loses nothing on its way unnamed.

    Thoughts go, and so do tools that Anthropic runs itself, with what they found. A document that is text becomes
    text; another block that cannot be said leaves a line where it was, for without one the model answers as if there
    were none.
    """
    kept = {name: each for name, each in body.items() if name not in _LEFT_OUT} | {"model": model}
    kept["messages"] = [_prepare_message(each) for each in body["messages"]]
    tools = [each for each in body.get("tools") or () if each.get("type", "custom") == "custom"]
    if body.get("tools"):
        kept["tools"] = tools
    choice = body.get("tool_choice") or {}
    named = choice.get("name")
    if not tools or (named is not None and all(each.get("name") != named for each in tools)):
        kept.pop("tool_choice", None)
    return kept


def _prepare_message(message: dict[str, Any]) -> dict[str, Any]:
    content, role = message.get("content"), message.get("role")
    if role == "system":  # it has no place between the others there
        message = message | {"role": "user"}
    if not isinstance(content, list):
        return message
    said = [each for part in content for each in _say(part)]
    images = [each for part in said for each in _images_of(part)]  # there results of tools are text
    return message | {"content": [*map(_without_images, said), *images]}


def _say(part: _Part) -> Iterator[_Part]:
    kind = part.get("type")
    if kind in _THOUGHTS or kind == "server_tool_use" or str(kind).endswith("_tool_result"):
        return
    if kind == "tool_result" and isinstance(part.get("content"), list):
        inner = [each for some in part["content"] for each in _say(some)]
        yield part | {"content": inner or ""}
    elif kind in _SAID:
        yield part
    elif kind == "document" and part.get("source", {}).get("type") == "text":
        yield {"type": "text", "text": str(part["source"].get("data", ""))}
    elif kind == "tool_reference":
        yield {"type": "text", "text": f"The tool {part.get('tool_name')} is there."}
    else:
        yield {"type": "text", "text": f"[A {kind} was here, which this model is not given.]"}


def _images_of(part: _Part) -> list[_Part]:
    content = part.get("content")
    if part.get("type") != "tool_result" or not isinstance(content, list):
        return []
    return [each for each in content if each.get("type") == "image"]


def _without_images(part: _Part) -> _Part:
    """Return a result of a tool whose images follow after all results."""
    if not _images_of(part):
        return part
    text = {"type": "text", "text": "[An image, which follows.]"}
    return part | {
        "content": [text if each.get("type") == "image" else each for each in part["content"]]
    }
