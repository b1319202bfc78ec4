"""What a request of Messages becomes before it is said in another protocol: nothing goes unnamed."""

from typing import Any

import pytest

from mahavishnu.gateway.preparing import prepare

IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
PDF = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf"}}
NOTES = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "Notes."},
}


def text(said: str) -> dict[str, str]:
    return {"type": "text", "text": said}


def result(number: int, content: object) -> dict[str, object]:
    return {"type": "tool_result", "tool_use_id": f"toolu_{number}", "content": content}


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([text("hi"), IMAGE], [text("hi"), IMAGE]),
        ([{"type": "thinking", "thinking": "x"}, text("hi")], [text("hi")]),
        ([NOTES], [text("Notes.")]),
        ([PDF], [text("[A document was here, which this model is not given.]")]),
        ([{"type": "server_tool_use"}, {"type": "web_search_tool_result"}, text("x")], [text("x")]),
        ([result(1, "one")], [result(1, "one")]),
        (
            [result(1, [{"type": "tool_reference", "tool_name": "A"}])],
            [result(1, [text("The tool A is there.")])],
        ),
        (  # results come first, or a provider takes them for missing
            [result(1, [text("one"), IMAGE]), result(2, [PDF])],
            [
                result(1, [text("one"), text("[An image, which follows.]")]),
                result(2, [text("[A document was here, which this model is not given.]")]),
                IMAGE,
            ],
        ),
    ],
)
def test_parts_that_cannot_be_said_are_named(parts: list[Any], said: list[Any]) -> None:
    body = {"model": "opus", "messages": [{"role": "user", "content": parts}]}
    assert prepare(body, "big") == {
        "model": "big",
        "messages": [{"role": "user", "content": said}],
    }


def test_a_choice_of_a_tool_goes_with_it_and_no_message_is_lost() -> None:
    own = {"name": "A", "input_schema": {"type": "object"}}
    search = {"type": "web_search_20250305", "name": "web_search"}
    choice = {"type": "tool", "name": "web_search"}
    late = {"role": "system", "content": "Be brief."}
    body = {"messages": [late], "tools": [own, search], "tool_choice": choice, "metadata": {}}
    assert prepare(body, "big") == {
        "model": "big",
        "messages": [{"role": "user", "content": "Be brief."}],
        "tools": [own],
    }
    kept = prepare(body | {"tool_choice": {"type": "tool", "name": "A"}}, "big")
    assert kept["tool_choice"] == {"type": "tool", "name": "A"}
