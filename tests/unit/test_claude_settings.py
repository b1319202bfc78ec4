"""Claude Code's settings: planned changes do what they say, once, and leave all else as it is."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mahavishnu.ai.clients.claude_code.own_settings.environment import (
    read_variables,
    set_variables,
    unset_variables,
)
from mahavishnu.ai.clients.claude_code.own_settings.hooks import (
    EVENTS,
    add_hook,
    is_regex,
    remove_hook,
)
from mahavishnu.ai.clients.claude_code.own_settings.permissions import (
    add_rules,
    read_rules,
    remove_rules,
)
from mahavishnu.ai.clients.claude_code.own_settings.plugins import read_plugins, turn_plugin
from mahavishnu.ai.clients.claude_code.own_settings.statusline import (
    read_statusline,
    set_statusline,
    unset_statusline,
)
from mahavishnu.ai.clients.claude_code.schema import KINDS, VERDICTS, find_faults
from mahavishnu.ai.clients.claude_code.settings import RESERVED_ENV
from mahavishnu.ai.clients.hook_entries import Hook, read_hooks
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.foreign_files.merge import Change, merge
from mahavishnu.base.errors import MahavishnuError, UsageError

type Plan = Callable[[JsonDocument], list[Change]]


def opened(text: str) -> JsonDocument:
    return JsonDocument.parse(text.encode())


def after(document: JsonDocument, plan: Plan) -> JsonDocument:
    """Return the file after the plan; asserts that planning it again changes nothing."""
    changed = merge(document, plan(document), {})[0]
    assert merge(changed, plan(changed), {})[0].text == changed.text
    return changed


def says(text: str, plan: Plan) -> Any:
    return json.loads(after(opened(text), plan).text)


def refused(plan: Plan, text: str = "{}") -> MahavishnuError:
    with pytest.raises(MahavishnuError) as caught:
        merge(opened(text), plan(opened(text)), {})
    return caught.value


# A file that nobody would write by hand, with elements of everybody in every list.
FOREIGN = """{ "theirs" : [1,2 ,  3],
\t"env": {"A":  "1" , "B": "x"},
  "permissions": { "deny" : [ "Read(./.env)","Bash(rm *)" ],"allow":["Edit"], "defaultMode": "plan" },
  "hooks": {"PreToolUse": [ {"matcher":"Bash","hooks":[{"type":"command",  "command":"theirs"},
    {"type":"prompt","prompt":"p"}]} ],
    "Stop":[{"hooks":[{ "type":"command","command":"other", "timeout":1.0}]}]},
  "statusLine": {"type":"command","command":"old","padding":1e0},   "enabledPlugins" : {"a@b":[ "1" ]} }
"""
STYLES = [
    FOREIGN,
    json.dumps(json.loads(FOREIGN)),
    json.dumps(json.loads(FOREIGN), indent=4) + "\n",
    json.dumps(json.loads(FOREIGN), indent="\t").replace("\n", "\r\n"),
    '{"theirs": 1}\n',
    "{}",
    "",
]
OURS = st.text(st.characters(codec="utf-8"), min_size=1).map(lambda text: f"ours {text}")
NAMES = st.from_regex(r"OURS_[A-Z0-9_]{0,9}", fullmatch=True)
MATCHERS = st.sampled_from([None, "Bash", "Edit|Write", "mcp__.*", "^x$"])
SPANS = st.one_of(st.none(), st.integers(1, 600), st.floats(0.1, 60))


@st.composite
def round_trips(draw: st.DrawFn) -> tuple[Plan, Plan]:
    """Return what adds something of ours, and what takes it out again."""
    kind = draw(st.sampled_from(["env", "hook", "rule", "several rules"]))
    if kind == "env":
        name, value = draw(NAMES), draw(st.text())
        return lambda d: set_variables(d, {name: value}), lambda d: unset_variables(d, [name])
    if kind == "hook":
        event, matcher, span = draw(st.sampled_from(EVENTS)), draw(MATCHERS), draw(SPANS)
        command = draw(OURS)
        hook = Hook(event, command, matcher, span)
        return lambda d: add_hook(d, hook), lambda d: remove_hook(d, event, command)
    count = 1 if kind == "rule" else 3
    rules = [f"Bash({draw(OURS)})" for _ in range(count)]
    verdict = draw(st.sampled_from(VERDICTS))
    return lambda d: add_rules(d, verdict, rules), lambda d: remove_rules(d, rules)


@given(text=st.sampled_from(STYLES), trips=st.lists(round_trips(), min_size=1, max_size=4))
def test_what_was_added_and_taken_out_leaves_the_same_bytes(
    text: str, trips: list[tuple[Plan, Plan]]
) -> None:
    document = start = opened(text)
    for add, _ in trips:
        document = after(document, add)
        assert not list(find_faults(json.loads(document.text)))
    for _, remove in reversed(trips):
        document = after(document, remove)
    assert document.text == start.text


@given(text=st.sampled_from(STYLES), trip=round_trips())
def test_what_others_wrote_stands_there_after_ours_was_added(
    text: str, trip: tuple[Plan, Plan]
) -> None:
    added = after(opened(text), trip[0]).text
    rest = iter(added)
    assert all(character in rest for character in text.rstrip("}\r\n "))


def test_a_hook_in_the_entry_of_others_is_taken_out_of_it_alone() -> None:
    ours = '{"type":"command","command":"ours"}'
    text = FOREIGN.replace('"command":"theirs"}', f'"command":"theirs"}}, {ours}')
    assert after(opened(text), lambda d: remove_hook(d, "PreToolUse", "ours")).text == FOREIGN
    # It runs already, so that nothing is added.
    assert (
        after(opened(text), lambda d: add_hook(d, Hook("PreToolUse", "ours", "Bash"))).text == text
    )


def test_a_hook_stands_once_and_gets_the_timeout_that_is_given_last() -> None:
    text = '{"hooks": {"Stop": [{"hooks": [{"type": "command", "command": "a", "timeout": 3, "async": true}]}]}}'
    [entry] = says(text, lambda d: add_hook(d, Hook("Stop", "a", timeout_s=9)))["hooks"]["Stop"]
    assert entry == {"hooks": [{"type": "command", "command": "a", "timeout": 9, "async": True}]}
    assert add_hook(opened(text), Hook("Stop", "a")) == []
    for same in ("", "*", None):
        assert add_hook(opened(text), Hook("Stop", "a", same)) == []
    other = says(text, lambda d: add_hook(d, Hook("Stop", "a", "x")))["hooks"]["Stop"]
    assert other[1] == {"matcher": "x", "hooks": [{"type": "command", "command": "a"}]}


def test_a_hook_is_taken_out_of_every_entry_or_of_the_one_with_the_matcher() -> None:
    def entry(matcher: str | None, *commands: str) -> dict[str, Any]:
        hooks = [{"type": "command", "command": each} for each in commands]
        return {"hooks": hooks} if matcher is None else {"matcher": matcher, "hooks": hooks}

    entries = [
        entry("A", "x"),
        entry("B", "x", "y"),
        entry(None, "x"),
        entry("A", "y"),
        entry("A", "x"),
    ]
    text = json.dumps({"hooks": {"Stop": entries}})
    left = says(text, lambda d: remove_hook(d, "Stop", "x"))
    assert left == {"hooks": {"Stop": [entry("B", "y"), entry("A", "y")]}}
    left = says(text, lambda d: remove_hook(d, "Stop", "x", matcher="A"))
    assert left["hooks"]["Stop"] == [entries[1], entries[2], entries[3]]
    left = says(text, lambda d: remove_hook(d, "Stop", "x", matcher=""))
    assert left["hooks"]["Stop"] == [entries[0], entries[1], entries[3], entries[4]]
    assert says(text, lambda d: remove_hook(d, "Stop", "none")) == json.loads(text)


@pytest.mark.parametrize(
    "events",
    ["[]", "5", '{"Stop": 5}', '{"Stop": [5, {"hooks": 5}, {"hooks": [5]}, {"x": 1}]}'],
)
def test_hooks_of_another_shape_are_passed_over(events: str) -> None:
    document = opened(f'{{"hooks": {events}}}')
    assert list(read_hooks(document)) == [] and remove_hook(document, "Stop", "x") == []


def test_members_are_not_put_where_something_else_stands() -> None:
    cases: list[tuple[str, Plan]] = [
        ('{"env": []}', lambda d: set_variables(d, {"X": "1"})),
        ('{"hooks": []}', lambda d: add_hook(d, Hook("Stop", "x"))),
        ('{"hooks": {"Stop": {}}}', lambda d: add_hook(d, Hook("Stop", "x"))),
        ('{"permissions": {"deny": "Bash"}}', lambda d: add_rules(d, "deny", ["Edit"])),
        ('{"statusLine": "x"}', lambda d: set_statusline(d, "y")),
        ('{"enabledPlugins": []}', lambda d: turn_plugin(d, "a@b", on=True)),
    ]
    for text, plan in cases:
        assert refused(plan, text).code == "document.not_an_object"


def test_an_empty_list_of_somebody_else_stays() -> None:
    text = '{"permissions": {"ask": [], "deny": ["Edit", "Bash(x)"]}}'
    assert says(text, lambda d: remove_rules(d, ["Bash(x)"])) == {
        "permissions": {"ask": [], "deny": ["Edit"]}
    }
    assert says(text, lambda d: remove_rules(d, ["Edit", "Bash(x)"])) == {
        "permissions": {"ask": []}
    }


@pytest.mark.parametrize("name", sorted(RESERVED_ENV))
def test_variables_of_the_provider_are_refused_and_the_profile_command_named(name: str) -> None:
    plans: list[Plan] = [
        lambda d: set_variables(d, {"FREE": "1", name: "a key of mine"}),
        lambda d: unset_variables(d, ["FREE", name]),
    ]
    for plan in plans:
        error = refused(plan)
        assert (error.code, error.exit_code) == ("claude_settings.owned_variable", 6)
        assert name in error.message and "a key of mine" not in error.message
        assert "ai profile edit" in str(error.hint) and "ai switch-llm" in str(error.hint)


@pytest.mark.parametrize("name", ["", "1A", "A B", "A-B", "é", "A\n"])
def test_a_name_that_no_variable_has_is_refused(name: str) -> None:
    assert refused(lambda d: set_variables(d, {name: "x"})).code == "claude_settings.variable_name"


def test_values_of_variables_are_texts() -> None:
    text = '{"env": {"A": 1, "B": true}}'
    assert says(text, lambda d: set_variables(d, {"A": "1"})) == {"env": {"A": "1", "B": True}}
    assert read_variables(opened(text)) == {"A": 1, "B": True}
    assert read_variables(opened('{"env": []}')) == {}


@pytest.mark.parametrize(
    ("event", "near"),
    [("pretooluse", "PreToolUse"), ("PreTooluse", "PreToolUse"), ("SubAgentStop", "SubagentStop")],
)
def test_an_unknown_event_is_refused_with_the_nearest(event: str, near: str) -> None:
    for plan in (
        lambda d: add_hook(d, Hook(event, "x")),
        lambda d: remove_hook(d, event, "x"),
    ):
        error = refused(plan)
        assert error.code == "claude_settings.event" and f"mean {near}?" in str(error.hint)


def test_an_event_like_none_is_refused_with_all() -> None:
    assert all(
        event in str(refused(lambda d: add_hook(d, Hook("???", "x"))).hint) for event in EVENTS
    )


@pytest.mark.parametrize(
    ("hook", "code"),
    [
        (Hook("Stop", " "), "command"),
        (Hook("Stop", "x", "["), "matcher"),
        (Hook("Stop", "x", timeout_s=0), "timeout"),
        (Hook("Stop", "x", timeout_s=-1), "timeout"),
        (Hook("Stop", "x", timeout_s=float("nan")), "timeout"),
        (Hook("Stop", "x", timeout_s=float("inf")), "timeout"),
    ],
)
def test_a_hook_that_would_void_the_file_is_refused(hook: Hook, code: str) -> None:
    assert refused(lambda d: add_hook(d, hook)).code == f"claude_settings.{code}"


def test_matchers_are_those_of_javascript() -> None:
    assert all(
        map(
            is_regex, ["", "*", "Bash", "(?<tool>Edit)", "(?<=a)b", "(?<!a)b", "mcp__.*__x", "[[a]"]
        )
    )
    assert not any(
        map(is_regex, ["[", "(", "a{2,1}", "+", "a{99999999999}", "(" * 9999 + ")" * 9999])
    )


@pytest.mark.parametrize(
    "rule",
    [
        "Bash",
        "Bash(x)",
        "Bash(echo (a) b)",
        "Read(./.env)",
        "mcp__a",
        "mcp__a__b",
        "mcp__a__*",
        "*",
    ],
)
def test_rules_that_claude_code_takes_are_taken(rule: str) -> None:
    assert says("{}", lambda d: add_rules(d, "deny", [rule])) == {"permissions": {"deny": [rule]}}


@pytest.mark.parametrize(
    "rule",
    [
        "",
        " ",
        "bash(x)",
        "Bash(",
        "Bash()",
        "Bash(x",
        "Bash(x) ",
        "Bash (x)",
        "mcp__a(x)",
        "mcp__",
        "x",
    ],
)
def test_rules_that_claude_code_would_skip_are_refused(rule: str) -> None:
    for verdict in VERDICTS:
        error = refused(lambda d, to=verdict: add_rules(d, to, ["Edit", rule]))
        assert (error.code, type(error)) == ("claude_settings.rule", UsageError)


def test_a_rule_in_the_wrong_case_is_offered_in_the_right_one() -> None:
    assert "mean Bash(make *)?" in str(
        refused(lambda d: add_rules(d, "ask", ["bash(make *)"])).hint
    )


def test_rules_on_other_lists_stay_and_are_removed_from_all() -> None:
    text = '{"permissions": {"deny": ["Edit"], "allow": ["Bash"]}}'
    added = after(opened(text), lambda d: add_rules(d, "allow", ["Edit"]))
    assert read_rules(added) == {"allow": ["Bash", "Edit"], "deny": ["Edit"], "ask": []}
    assert read_rules(after(added, lambda d: remove_rules(d, ["Edit"]))) == {
        "allow": ["Bash"], "deny": [], "ask": [],
    }  # fmt: skip


def test_the_status_line_keeps_what_is_not_its_command() -> None:
    text = '{"statusLine": {"padding": 1.0, "command": "a", "type": "command"}}'
    changed = after(opened(text), lambda d: set_statusline(d, "b"))
    assert changed.text == text.replace('"a"', '"b"') and read_statusline(changed) == "b"
    assert says(text, unset_statusline) == {}
    assert says("{}", lambda d: set_statusline(d, "b")) == {
        "statusLine": {"type": "command", "command": "b"}
    }
    assert refused(lambda d: set_statusline(d, " ")).code == "claude_settings.command"
    assert read_statusline(opened("{}")) is None


def test_plugins_are_turned_on_and_off_by_name() -> None:
    text = '{"enabledPlugins": {"a@b": ["1"], "c@d": false}}'
    on = after(opened(text), lambda d: turn_plugin(d, "c@d", on=True))
    assert read_plugins(on) == {"a@b": ["1"], "c@d": True}
    assert says("{}", lambda d: turn_plugin(d, "x.y@z-1", on=False)) == {
        "enabledPlugins": {"x.y@z-1": False}
    }
    for name in ("a", "a@", "@b", "a b@c", "a@b@c", ""):
        assert (
            refused(lambda d, n=name: turn_plugin(d, n, on=True)).code
            == "claude_settings.plugin_name"
        )


def faults(settings: Any) -> list[tuple[str, bool]]:
    return [(".".join(each.path), each.voids_file) for each in find_faults(settings)]


COMMAND = {"type": "command", "command": "x"}


# What Claude Code 2.1.329 was seen to do with each, one by one.
@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({}, []),
        (json.loads(FOREIGN), []),
        ({"env": {"X": True, "Y": None, "Z": {}}, "nobody knows": 5}, []),
        ({"env": []}, [("env", True)]),
        ({"model": 5, "apiKeyHelper": None, "verbose": "x"},
         [("model", True), ("apiKeyHelper", True), ("verbose", True)]),
        ({"cleanupPeriodDays": True}, [("cleanupPeriodDays", True)]),
        ({"permissions": []}, [("permissions", True)]),
        ({"permissions": {"allow": "Bash"}}, [("permissions.allow", True)]),
        ({"permissions": {"deny": [5, "bash(x)", "Bash"]}},
         [("permissions.deny.0", False), ("permissions.deny.1", False)]),
        ({"permissions": {"additionalDirectories": "x", "defaultMode": 1}},
         [("permissions.defaultMode", True), ("permissions.additionalDirectories", True)]),
        ({"enabledPlugins": {"a@b": "x", "c": True}}, [("enabledPlugins.a@b", True)]),
        ({"statusLine": "x"}, [("statusLine", True)]),
        ({"statusLine": {"command": 5, "padding": "1"}},
         [("statusLine.type", True), ("statusLine.command", True), ("statusLine.padding", True)]),
        ({"hooks": []}, [("hooks", False)]),
        ({"hooks": {"Foo": 5}}, [("hooks.Foo", False)]),
        ({"hooks": {"Stop": {}, "PreToolUse": {}}},
         [("hooks.Stop", False), ("hooks.PreToolUse", True)]),
        ({"hooks": {"PermissionRequest": ["x"]}}, [("hooks.PermissionRequest.0", True)]),
        ({"hooks": {"PreToolUse": [{"matcher": "x"}]}}, [("hooks.PreToolUse.0.hooks", True)]),
        ({"hooks": {"PreToolUse": [{"matcher": 5, "hooks": []}]}},
         [("hooks.PreToolUse.0.matcher", True)]),
        ({"hooks": {"Stop": [{"hooks": [5, {"type": "zzz"}, {"type": "mcp_tool", "server": "x"}]}]}},
         [("hooks.Stop.0.hooks.0", False), ("hooks.Stop.0.hooks.1.type", False),
          ("hooks.Stop.0.hooks.2.tool", False)]),
        *[({"hooks": {"PreToolUse": [{"hooks": [{**COMMAND, "timeout": wrong}]}]}},
           [("hooks.PreToolUse.0.hooks.0.timeout", True)]) for wrong in (0, -1, "5", True)],
    ],
)  # fmt: skip
def test_what_claude_code_does_not_take_is_named(settings: Any, found: list[Any]) -> None:
    assert faults(settings) == found


@pytest.mark.parametrize("name", sorted(KINDS))
def test_each_known_key_has_a_kind_that_null_is_not(name: str) -> None:
    assert faults({name: None}) == [(name, True)]
