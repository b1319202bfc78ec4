"""
What a model says in each protocol, Messages, Responses, completions: as the events of a stream, or as a whole.
"""

import json
from collections.abc import Iterator
from typing import Any

type Block = dict[str, Any]


def messages(block: Block, model: str, *, turn: int) -> Iterator[str]:
    """Return one block of content, a text or the use of a tool, as Anthropic's Messages stream it."""
    if block["type"] == "tool_use":
        empty, reason = block | {"input": {}}, "tool_use"
        delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
    else:
        empty, reason = block | {"text": ""}, "end_turn"
        delta = {"type": "text_delta", "text": block["text"]}
    message = {
        "id": f"msg_{turn:024d}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 10, "output_tokens": 5},
    }
    yield _named({"type": "message_start", "message": message})
    yield _named({"type": "content_block_start", "index": 0, "content_block": empty})
    yield _named({"type": "content_block_delta", "index": 0, "delta": delta})
    yield _named({"type": "content_block_stop", "index": 0})
    end = {"stop_reason": reason, "stop_sequence": None}
    yield _named({"type": "message_delta", "delta": end, "usage": {"output_tokens": 5}})
    yield _named({"type": "message_stop"})


def responses(text: str, model: str, *, turn: int) -> Iterator[str]:
    """Return a text as OpenAI's Responses stream it."""
    response = {"id": f"resp_{turn:024d}", "object": "response", "model": model, "output": []}
    part = {"type": "output_text", "text": text, "annotations": []}
    item = {
        "type": "message",
        "id": f"msg_{turn:024d}",
        "role": "assistant",
        "status": "completed",
        "content": [part],
    }
    place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    yield _named({"type": "response.created", "response": response | {"status": "in_progress"}})
    began = item | {"status": "in_progress", "content": []}
    yield _named({"type": "response.output_item.added", "output_index": 0, "item": began})
    yield _named({"type": "response.output_text.delta", **place, "delta": text})
    yield _named({"type": "response.output_item.done", "output_index": 0, "item": item})
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    }
    whole = response | {"status": "completed", "output": [item], "usage": usage}
    yield _named({"type": "response.completed", "response": whole})


def completions(block: Block, model: str, *, turn: int) -> Iterator[str]:
    """Return a text, in two pieces, or the use of a tool as OpenAI's chat completions stream it."""
    head = {"id": f"chatcmpl-{turn}", "object": "chat.completion.chunk", "created": 0}
    head["model"] = model
    if block["type"] == "tool_use":
        calls = [{"index": 0, **call} for call in _calls(block)]
        said, reason = [{"role": "assistant", "tool_calls": calls}], "tool_calls"
    else:
        middle = len(block["text"]) // 2
        pieces = block["text"][:middle], block["text"][middle:]
        said, reason = [{"role": "assistant", "content": piece} for piece in pieces], "stop"
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    for delta in said:
        yield _data(head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
    yield _data(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    yield _data(head | {"choices": [], "usage": usage})
    yield "data: [DONE]\n\n"


def whole(path: str, block: Block, model: str) -> dict[str, Any]:
    """Return what the protocol of `path` answers a request that asks for no stream; tools in completions alone."""
    text = block.get("text")
    if path.endswith("/messages"):
        content = [{"type": "text", "text": text}]
        return {"type": "message", "role": "assistant", "model": model, "content": content}
    if path.endswith("/responses"):
        part = {"type": "output_text", "text": text, "annotations": []}
        item = {"type": "message", "role": "assistant", "content": [part]}
        return {"object": "response", "model": model, "status": "completed", "output": [item]}
    said: dict[str, Any] = {"role": "assistant", "content": text}
    if text is None:
        said["tool_calls"] = _calls(block)
    choice = {"index": 0, "message": said, "finish_reason": "stop" if text else "tool_calls"}
    return {"id": "chatcmpl", "object": "chat.completion", "model": model, "choices": [choice]}


def _calls(block: Block) -> list[dict[str, Any]]:
    function = {"name": block["name"], "arguments": json.dumps(block["input"])}
    return [{"id": block["id"], "type": "function", "function": function}]


def _named(event: dict[str, Any]) -> str:
    return f"event: {event['type']}\n{_data(event)}"


def _data(event: dict[str, Any]) -> str:
    return f"data: {json.dumps(event)}\n\n"
