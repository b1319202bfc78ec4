"""Real AI clients in a home of their own, and three providers on the loopback interface to switch between."""

import contextlib
import json
import os
import shlex
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from mahavishnu.ai.clients.table import ClientName
from mahavishnu.ai.switching.switch import SwitchOptions, switch
from mahavishnu.base.settings.sources import load_settings
from mahavishnu.operations.ai.profiles import find_profile
from mahavishnu.operations.ai.site import open_site
from tests.support.command import Answer, Command
from tests.support.outcomes import Leaked
from tests.support.peers.journal import Journal
from tests.support.peers.node import node, node_modules
from tests.support.peers.provider_stub import Asked, ProviderStub, provider_stub
from tests.support.peers.refusing_proxy import refusing_proxy

NAMES = ("one", "two", "three")
KEYS = {f"{name.upper()}_KEY": f"sk-canary-of-{name}-0123456789" for name in NAMES}
# What other programs exported; none of it may reach any of the providers.
STRAYS = {
    name: f"stray-canary-{number}"
    for number, name in enumerate(
        ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "OPENAI_API_KEY",
         "CODEX_API_KEY", "CODEX_ACCESS_TOKEN", "AWS_BEARER_TOKEN_BEDROCK")
    )
}  # fmt: skip
STRAY = "stray-canary"
# The commands that change what clients go by.
_CHANGES = {("ai", word) for word in ("bind", "restart", "restore", "switch-llm", "unbind", "undo")}
_RUN_TIMEOUT_S = 180


@dataclass(frozen=True)
class Providers:
    """
    The three, by name, and one that nobody has a key for; `urls` has an address for each.

    `outside` has the hosts that clients wanted to go to beside these, where `proxy` lets nobody.
    """

    stubs: Mapping[str, ProviderStub]
    urls: Mapping[str, str]
    outside: list[str]
    proxy: Mapping[str, str]
    journal: Journal

    def turns(self, name: str) -> list[Asked]:
        """Return the requests that one got for its model."""
        return self.stubs[name].turns

    def count(self) -> int:
        """Return how many there were for models, all together."""
        return sum(len(stub.turns) for stub in self.stubs.values())

    def forget(self) -> None:
        """Forget what was asked, having looked at it."""
        self.assert_nothing_leaked()
        self.journal.note("forget")
        for stub in self.stubs.values():
            stub.asked.clear()

    def assert_reached(self, name: str, credentials: Mapping[str, str], model: str) -> None:
        """Assert that one was asked, always so, and the others not at all; forgets what was asked."""
        turns = self.turns_since().get(name, [])
        asked = [each for each in turns if not _is_side_request(each, model)]
        for each in asked:
            said = (each.credentials, each.body["model"])
            self.require(said == (credentials, model), f"{name} was asked otherwise")
        for other in self.stubs.keys() - {name}:
            self.require(not self.asked_since(other), f"{other} was asked, and not only {name}")
        assert asked, self._tell(f"{name} was not asked")
        self.journal.reached = name
        self.forget()

    def assert_no_turns(self, said: str = "") -> None:
        """Assert that no model of anybody was asked; forgets what else was."""
        turns = self.turns_since()
        self.require(not turns, f"asked: {', '.join(turns)}\n{said}")
        self.forget()

    def assert_untouched(self, *names: str) -> None:
        """Assert that these were asked nothing at all."""
        for name in names:
            self.require(not self.stubs[name].asked, f"{name} was asked")

    def assert_nothing_leaked(self) -> None:
        """Assert of every request to every one that it brought no key but that one's own."""
        for name, stub in self.stubs.items():
            for each in stub.asked:
                foreign = set(self.journal.keys_in(each)) - {_key_of(name)}
                self.require(not foreign, f"{name} was told {', '.join(sorted(foreign))}")

    def require(self, holds: bool, problem: str) -> None:
        """Raise `Leaked` unless this holds."""
        if not holds:
            raise Leaked(self._tell(problem))

    def asked_since(self, name: str) -> list[Asked]:
        """Return what one was asked, without what it was rightly asked before settings last changed."""
        return [each for each in self.stubs[name].asked if not self._is_of_before(name, each)]

    def turns_since(self) -> dict[str, list[Asked]]:
        """Return the requests for models of these, by provider; only those that got any."""
        turns = {
            name: [each for each in self.asked_since(name) if each.is_turn] for name in self.stubs
        }
        return {name: asked for name, asked in turns.items() if asked}

    def _is_of_before(self, name: str, asked: Asked) -> bool:
        """
        Tell whether a client that still went by the settings of before asked its own provider.

        It had the provider's own key; and a model only the provider that was found asked last.
        """
        own = self.journal.keys_in(asked) == [_key_of(name)]
        known = not asked.is_turn or name == self.journal.reached
        return own and known and asked.when <= self.journal.changed

    def _tell(self, problem: str) -> str:
        return f"{problem}\n{self.journal}"


def _key_of(name: str) -> str:
    return f"{name.upper()}_KEY"


def _is_side_request(asked: Asked, model: str) -> bool:
    """Tell whether Claude Code asked its small model, for the title of a session."""
    return asked.body["model"] == model.replace("large", "small")


@dataclass(frozen=True)
class Household:
    """
    A home with clients, profiles `one`, `two` and `three`, and `mahavishnu` in it.

    The three keys are exported, and no host outside of this machine can be reached.
    """

    home: Path
    providers: Providers

    @property
    def project(self) -> Path:
        """The folder that clients are started in."""
        return self.home / "project"

    @property
    def environ(self) -> dict[str, str]:
        """What a client and the command see of the environment."""
        return {
            **Command(self.home).environ(),
            "PATH": f"{self.home / 'bin'}:{os.defpath}",
            "TMPDIR": str(self.home / "tmp"),
            "TERM": "xterm-256color",
            "LANG": "C.UTF-8",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_MAX_RETRIES": "0",
            **self.providers.proxy,
            **KEYS,
        }

    def processes(self) -> list[Path]:
        """Return the folders below /proc of what runs with this home; others may run tests beside."""
        return processes_in(self.home)

    def command(self, *words: str, cwd: Path | None = None, **environ: str) -> Answer:
        """Run `mahavishnu`."""
        with self.providers.journal.during(" ".join(words), changes=words[:2] in _CHANGES):
            return Command(self.home, self.environ)(*words, cwd=cwd or self.project, **environ)

    def switch(self, name: str, client: ClientName) -> None:
        """Switch one client to a profile, by the command."""
        answer = self.command("ai", "switch-llm", name, "--client", client, "--json")
        assert answer.status == 0, answer

    def switch_often(self, client: ClientName, times: int) -> None:
        """Switch one client to the profiles in turn, ending with the first; as the command does."""
        loaded = load_settings(environ=self.environ, folder=self.project)
        site = replace(open_site(loaded), folder=self.project)
        with self.providers.journal.during(f"{times - 1} switches", changes=True):
            for number in range(1, times):
                switch(
                    site, find_profile(loaded, NAMES[number % 3]), SwitchOptions(clients=[client])
                )
        self.switch(NAMES[0], client)

    def run(
        self,
        *words: str | Path,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a client to its end."""
        line = " ".join([Path(words[0]).name, *map(str, words[1:])])
        with self.providers.journal.during(line):
            return subprocess.run(
                words, env={**self.environ, **(environ or {})}, cwd=cwd or self.project,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_RUN_TIMEOUT_S,
                check=False,
            )  # fmt: skip


def processes_in(home: Path) -> list[Path]:
    """Return the folders below /proc of what runs with a home."""

    def runs_there(folder: Path) -> bool:
        try:
            state = (folder / "stat").read_bytes().rpartition(b")")[2].split()[0]
            environ = (folder / "environ").read_bytes().split(b"\0")
        except OSError:  # it ended
            return False
        return state != b"Z" and f"HOME={home}".encode() in environ

    return [folder for folder in Path("/proc").glob("[0-9]*") if runs_there(folder)]


@contextlib.contextmanager
def providers() -> Iterator[Providers]:
    """Serve the three providers, and one elsewhere."""
    with contextlib.ExitStack() as stack:
        served = {name: stack.enter_context(provider_stub()) for name in (*NAMES, "elsewhere")}
        outside, proxy = stack.enter_context(refusing_proxy())
        journal = Journal({**KEYS, "stray": STRAY})
        for name, (stub, _) in served.items():
            stub.note = partial(journal.note_request, name)
        yield Providers(
            {name: stub for name, (stub, _) in served.items()},
            {name: url for name, (_, url) in served.items()},
            outside,
            proxy,
            journal,
        )


def move_in(home: Path, served: Providers) -> Household:
    """Return a household with the profiles of the three providers, and the programs on its PATH."""
    for name in ("project", "tmp"):
        (home / name).mkdir()
    place_programs(home / "bin")
    household = Household(home, served)
    profiles = {name: _profile(name, served.urls[name]) for name in NAMES}
    settings = Command(home).settings
    settings.write_text(yaml.safe_dump({"ai_environments": {"llm_profiles": profiles}}))
    return household


def place_programs(folder: Path) -> None:
    """Make a folder for a PATH that has the clients."""
    folder.mkdir()
    for name, program in programs().items():
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, program))} "$@"\n')
        script.chmod(0o755)


def programs() -> dict[str, list[Path]]:
    """Return how each client is started; skips, or fails in CI, where they cannot be had."""
    modules = node_modules()
    [claude] = modules.glob("@anthropic-ai/claude-code-*/claude")
    [codex] = modules.glob("@openai/codex-*/vendor/*/bin/codex")
    qwen = modules / "@qwen-code/qwen-code/cli-entry.js"
    return {"claude": [claude], "codex": [codex], "qwen": [node(), qwen]}


def sign_in(home: Path) -> None:
    """Give Claude Code and Codex sign-ins of their own, which no provider may see."""
    oauth = {
        "accessToken": f"sk-ant-oat01-{STRAY}", "refreshToken": f"sk-ant-ort01-{STRAY}",
        "expiresAt": 4_000_000_000_000, "scopes": ["user:inference"], "subscriptionType": "max",
    }  # fmt: skip
    write(home / ".claude/.credentials.json", {"claudeAiOauth": oauth})
    write(home / ".codex/auth.json", {"OPENAI_API_KEY": f"sk-{STRAY}"})


def write(path: Path, values: Any) -> None:
    """Write JSON, or a text as it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(values if isinstance(values, str) else json.dumps(values, indent=2))


def strays(elsewhere: str) -> dict[str, str]:
    """Return exported variables of other programs: keys, and what leads elsewhere."""
    return {
        **STRAYS,
        "ANTHROPIC_BASE_URL": elsewhere,
        "ANTHROPIC_CUSTOM_HEADERS": f"X-Other: {STRAY}",
        "ANTHROPIC_MODEL": "stray-model",
        "CLAUDE_CODE_USE_VERTEX": "1",
        "CLAUDE_CODE_SKIP_VERTEX_AUTH": "1",
        "ANTHROPIC_VERTEX_BASE_URL": elsewhere,
        "ANTHROPIC_VERTEX_PROJECT_ID": "x",
        "CLOUD_ML_REGION": "us-east5",
        "OPENAI_BASE_URL": f"{elsewhere}/v1",
        "OPENAI_MODEL": "stray-model",
    }


def _profile(name: str, url: str) -> dict[str, Any]:
    return {
        "anthropic_base_url": url,
        "openai_responses_base_url": f"{url}/v1",
        "openai_chat_base_url": f"{url}/v1",
        "key": f"env:{name.upper()}_KEY",
        "model": f"{name}-large",
        "small_model": f"{name}-small",
    }
