"""
The published MCP conformance suite against the daemon, in both eras of the protocol.

Most of its scenarios call tools, resources and prompts of its own test server, and so are about an
SDK; `LEFT_OUT` says of each why it says nothing about this server. Those that apply run one by one.
"""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.peers.bearer import bearing
from tests.support.peers.node import node, node_modules
from tests.support.peers.running import Daemon

pytestmark = pytest.mark.peer

OLD, NEW, EXTENSION = "2025-11-25", "2026-07-28", "extension"
type Pair = tuple[str, str]  # scenario, and the era or "extension"

APPLIES: dict[str, list[str]] = {
    "server-initialize": [OLD],
    "ping": [OLD],
    "server-stateless": [NEW],
    "tools-list": [OLD, NEW],
    "resources-list": [OLD, NEW],
    "prompts-list": [OLD, NEW],
    "dns-rebinding-protection": [OLD, NEW],
    "server-sse-multiple-streams": [NEW],
    "sep-2164-resource-not-found": [NEW],
    "caching": [NEW],
    "http-header-validation": [NEW],
    "input-required-result-unsupported-methods": [NEW],
}
RUNS: list[Pair] = [(name, era) for name, eras in APPLIES.items() for era in eras]

# Checks of these scenarios that do not succeed, and must not without being taken from here.
_TOOL = "needs a diagnostic tool of the suite's own server"
_LISTEN = "the server announces no changes of its lists, so there is nothing to subscribe to"
UNREACHED: dict[Pair, dict[str, str]] = {
    ("server-stateless", NEW): {
        "sep-2575-server-rejects-undeclared-capability": _TOOL,
        "sep-2575-missing-capability-http-400": _TOOL,
        "sep-2575-http-server-no-independent-requests-on-stream": _TOOL,
        "sep-2575-server-no-log-without-loglevel": _TOOL,
        "sep-2575-server-sends-subscription-ack": _LISTEN,
        "sep-2575-server-tags-subscription-id": _LISTEN,
        "sep-2575-server-honors-notification-filter": _LISTEN,
        "sep-2575-server-sends-prompts-list-changed-on-subscription": _LISTEN,
        "sep-2575-server-sends-tools-list-changed-on-subscription": _LISTEN,
    },
}

_FIXTURE = "calls a tool, resource or prompt of the suite's own server"
_INPUT = "a tool that asks the client for input, as none here does"
_SESSION = "about sessions and streams taken up again; the server is stateless"
_BOTH, _OLD, _NEW = (OLD, NEW), (OLD,), (NEW,)
_REASONS: list[tuple[str, tuple[str, ...], str]] = [
    (
        _FIXTURE,
        _BOTH,
        "tools-call-simple-text tools-call-image tools-call-audio tools-call-embedded-resource"
        " tools-call-mixed-content tools-call-error tools-call-with-progress json-schema-2020-12"
        " resources-read-text resources-read-binary resources-templates-read prompts-get-simple"
        " prompts-get-with-args prompts-get-embedded-resource prompts-get-with-image",
    ),
    (_FIXTURE, _NEW, "http-custom-header-server-validation"),
    ("the server completes no arguments", _BOTH, "completion-complete"),
    ("the server sends no log messages", _OLD, "logging-set-level tools-call-with-logging"),
    ("the server offers no subscriptions", _OLD, "resources-subscribe resources-unsubscribe"),
    (
        _SESSION,
        _OLD,
        "server-session-lifecycle server-sse-polling server-sse-multiple-streams",
    ),
    (
        _INPUT,
        _OLD,
        "tools-call-sampling tools-call-elicitation elicitation-sep1034-defaults"
        " elicitation-sep1330-enums",
    ),
    (
        _INPUT,
        _NEW,
        "input-required-result-basic-elicitation input-required-result-basic-sampling"
        " input-required-result-basic-list-roots input-required-result-request-state"
        " input-required-result-multiple-input-requests input-required-result-multi-round"
        " input-required-result-missing-input-response input-required-result-non-tool-request"
        " input-required-result-result-type input-required-result-tampered-state"
        " input-required-result-capability-check input-required-result-ignore-extra-params"
        " input-required-result-validate-input",
    ),
    (
        "the extension for tasks; no operation here takes that long",
        (EXTENSION,),
        "tasks-lifecycle tasks-capability-negotiation tasks-wire-fields"
        " tasks-request-state-removal tasks-mrtr-input tasks-request-headers"
        " tasks-dispatch-and-envelope tasks-status-notifications tasks-required-task-error"
        " tasks-mrtr-composition",
    ),
    (
        "the extension for skills, which the server has none of",
        (EXTENSION,),
        "sep-2640-skills-directory sep-2640-skills-enumeration sep-2640-skills-manifest",
    ),
]
LEFT_OUT: dict[Pair, str] = {
    (name, era): reason
    for reason, eras, names in _REASONS
    for name in names.split()
    for era in eras
}
_LISTED = re.compile(r"^ +- (\S+) \[(.+)\]$", re.MULTILINE)


@pytest.fixture(scope="module")
def address(daemon: Daemon) -> Iterator[str]:
    """The daemon's MCP endpoint as one that wants no token: the suite cannot bring one."""
    daemon.command("memory", "store", "There is a memory to list and to read.")
    with bearing(daemon.url, daemon.token) as url:
        yield f"{url}/mcp"


def conformance(*words: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the suite's command, in a home of its own."""
    program = node_modules() / "@modelcontextprotocol/conformance/dist/index.js"
    return subprocess.run(
        [node(), program, *words],
        env={"PATH": os.defpath, "HOME": str(home)},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def outcomes(scenario: str, era: str, address: str, home: Path) -> list[tuple[str, str]]:
    """Run one scenario; return (check, status) as the suite wrote them down, notes left away."""
    folder = home / "results"
    words = ("--url", address, "--scenario", scenario, "--spec-version", era, "-o", str(folder))
    done = conformance("server", *words, home=home)
    written = list(folder.glob("*/checks.json"))
    assert len(written) == 1, done
    checks = json.loads(written[0].read_bytes())
    print(json.dumps([check for check in checks if check["status"] != "SUCCESS"], indent=1))
    return [(check["id"], check["status"]) for check in checks if check["status"] != "INFO"]


@pytest.mark.parametrize(("scenario", "era"), RUNS, ids=map("@".join, RUNS))
@pytest.mark.verifies("MCP conformance suite, 2025-11-25 and 2026-07-28")
def test_a_scenario_succeeds(scenario: str, era: str, address: str, tmp_path: Path) -> None:
    found = outcomes(scenario, era, address, tmp_path)
    # Of every message it checks the shape besides; a scenario that saw nothing else showed nothing.
    assert [
        check for check, status in found if status == "SUCCESS" and check != "wire-schema-valid"
    ]
    failed = {check for check, status in found if status != "SUCCESS"}
    assert failed == set(UNREACHED.get((scenario, era), {}))


def test_each_scenario_of_the_suite_runs_or_has_its_reason_not_to(tmp_path: Path) -> None:
    done = conformance("list", "--server", home=tmp_path)
    listed = {
        (name, era)
        for name, eras in _LISTED.findall(done.stdout)
        for era in set(eras.split(",")) & {OLD, NEW, EXTENSION}
    }
    assert listed == set(RUNS) | set(LEFT_OUT), done
    assert not set(RUNS) & set(LEFT_OUT)


def test_without_the_token_the_suite_gets_nowhere(daemon: Daemon, tmp_path: Path) -> None:
    found = outcomes("tools-list", NEW, f"{daemon.url}/mcp", tmp_path)
    assert "SUCCESS" not in {status for check, status in found if check != "wire-schema-valid"}
