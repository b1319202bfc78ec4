"""
Switching between providers: what it takes, and what it leaves of the user's own settings and keys.

Two providers answer on the loopback interface; every client has settings of its user's, which no switch may
touch, and each provider has a key, which may be seen nowhere but by itself and on the helper's output.
"""

import json
import sys
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.commands import BARE, PRODUCT, RUNS, Command, Ran, add_times, run_in_turns
from benchmarks.report import Section, least, most
from benchmarks.world import environment
from tests.support.peers.provider_stub import ProviderStub, provider_stub

KEYS = {"ONE_KEY": "sk-canary-of-one-0123456789", "TWO_KEY": "sk-canary-of-two-0123456789"}
OWN = 100  # settings of the user's in each file
# Settings that are the profile's, by the file that they stand in.
FILES = {
    ".claude/settings.json": json.loads,
    ".codex/config.toml": tomllib.loads,
    ".qwen/settings.json": json.loads,
}
HELPER = str(Path(sys.executable).with_name("mahavishnu-key"))


def measure_switching(home: Path) -> Section:
    """Switch all clients to and fro between two providers, and look for what it cost the user."""
    started = time.monotonic()
    section = Section("Switching providers, three clients")
    environ = environment(home, **KEYS)
    with provider_stub() as (one, one_url), provider_stub() as (two, two_url):
        _move_in(home, {"one": one_url, "two": two_url})
        before = dict(_user_settings(home))
        commands = [
            Command("python -c pass", BARE, environ),
            *_commands("one", one_url, environ),
            *_commands("two", two_url, environ),
        ]
        runs = run_in_turns(commands)
        add_times(section, commands, runs)
        _add_both(section, commands, runs)
        _add_kept(section, before, dict(_user_settings(home)))
        helpers = [place for place, each in enumerate(commands) if "helper" in each.name]
        _add_leaks(
            section,
            home,
            printed=[
                ran.printed
                for place, each in enumerate(runs)
                for ran in each
                if place not in helpers
            ],
            told={"ONE_KEY": two, "TWO_KEY": one},
        )
    section.notes.append(
        f"Median of {RUNS} runs in turns, so {2 * RUNS} switches of three clients; the providers answer at once."
    )
    section.seconds = time.monotonic() - started
    return section


def _move_in(home: Path, urls: Mapping[str, str]) -> None:
    """Make the three clients' files, full of the user's own settings, and the two profiles."""
    own = {f"own{number}": {"value": number, "list": [number, "ü"]} for number in range(OWN)}
    tables = "".join(f"[own{number}]  # kept\nvalue = {number}\n\n" for number in range(OWN))
    texts = {
        ".claude/settings.json": json.dumps({"env": {"EDITOR": "vi"}, **own}, indent=3),
        ".codex/config.toml": f'# The user\'s own.\nmodel_verbosity = "low"\n\n{tables}',
        ".qwen/settings.json": json.dumps(own, indent="\t"),
    }
    profiles = {
        name: {
            "anthropic_base_url": url,
            "openai_responses_base_url": f"{url}/v1",
            "openai_chat_base_url": f"{url}/v1",
            "key": f"env:{name.upper()}_KEY",
            "model": f"{name}-large",
        }
        for name, url in urls.items()
    }
    texts["mahavishnu/config/mahavishnu.yaml"] = yaml.safe_dump(
        {"ai_environments": {"llm_profiles": profiles}}
    )
    for name, text in texts.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _commands(name: str, url: str, environ: dict[str, str]) -> Iterator[Command]:
    key = (HELPER, f"env:{name.upper()}_KEY", "--for", url)
    goals = {"switch": most("more ms", 400), "helper": most("more ms", 60)}
    yield Command(
        f"ai switch-llm {name}",
        (*PRODUCT, "ai", "switch-llm", name, "--json"),
        environ,
        (goals["switch"],),
    )
    yield Command(f"ai verify {name}", (*PRODUCT, "ai", "verify", name, "--json"), environ)
    # As Claude Code starts it, with the settings' environment.
    asked = environ | {"ANTHROPIC_BASE_URL": url}
    yield Command(f"mahavishnu-key, the helper, {name}", key, asked, (goals["helper"],))


def _add_both(section: Section, commands: Sequence[Command], runs: Sequence[Sequence[Ran]]) -> None:
    """Add what a user waits for who switches and then verifies."""
    seconds = {
        each.name: [ran.seconds for ran in runs[place]] for place, each in enumerate(commands)
    }
    for name in ("one", "two"):
        both = np.add(seconds[f"ai switch-llm {name}"], seconds[f"ai verify {name}"]) * 1000
        bare = np.median(seconds["python -c pass"]) * 1000
        median = float(np.median(both))
        section.add(
            f"switch-llm, then verify, {name}", most("median ms", 1000), median__ms=median,
            min__ms=float(min(both)), times__bare=median / bare, more__ms=median - bare,
        )  # fmt: skip


def _user_settings(home: Path) -> Iterator[tuple[tuple[str, str], Any]]:
    """Yield every setting of the user's own by file and name, as the client reads it."""
    for name, parse in FILES.items():
        for key, value in parse((home / name).read_text(encoding="utf-8")).items():
            if key.startswith("own") or key == "model_verbosity":
                yield (name, key), value
            elif key == "env":
                yield (name, "env.EDITOR"), value.get("EDITOR")


def _add_kept(section: Section, before: Mapping[Any, Any], after: Mapping[Any, Any]) -> None:
    kept = sum(after.get(key) == value for key, value in before.items())
    section.add(
        "user's settings kept", least("share", 1.0), share=kept / len(before), of=len(before)
    )


def _add_leaks(
    section: Section, home: Path, *, printed: Sequence[bytes], told: Mapping[str, ProviderStub]
) -> None:
    """Count the places where a key is: files, what commands printed, what the other provider was told."""
    keys = [key.encode() for key in KEYS.values()]
    files = [
        path.read_bytes() for path in home.rglob("*") if path.is_file() and not path.is_symlink()
    ]
    requests = [
        (KEYS[name].encode(), json.dumps([asked.path, asked.headers, asked.body]).encode())
        for name, stub in told.items()
        for asked in stub.asked
    ]
    leaks = sum(key in text for text in (*files, *printed) for key in keys)
    leaks += sum(key in text for key, text in requests)
    looked_at = len(files) + len(printed) + len(requests)
    section.add("leaks of a key", most("found", 0), found=leaks, of=looked_at)
