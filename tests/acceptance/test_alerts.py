"""One daemon whose user hears, by a webhook, of an act that failed and of settings that somebody changed."""

import asyncio
from pathlib import Path

from tests.support.command import Command
from tests.support.fake_servers import FakeServer, Reply

SETTINGS = """
alerts:
  channels:
    hook:
      url: ${TESTS_HOOK}
      acts: [memory.prune, "config.*"]
      results: [failed, done]
"""


async def heard(hook: FakeServer, words: str) -> str:
    """Wait until the webhook was told something, and return the message."""
    async with asyncio.timeout(300):
        while True:
            for message in (str(each.json["message"]) for each in hook.requests):
                if words in message:
                    return message
            await asyncio.sleep(0.05)


async def test_a_webhook_hears_of_a_failed_act_and_of_a_changed_setting(alone: Command) -> None:
    """Takes the daemon's start, two processes that send, and its end."""
    claude = alone.home / ".claude/settings.json"
    claude.parent.mkdir()
    claude.write_text('{"theme": "dark"}')
    alone.settings.write_text(SETTINGS)
    async with FakeServer(lambda _: Reply()) as hook:
        url = f"json://127.0.0.1:{hook.port}/canary-path"
        away = {"MAHAVISHNU_PG_DSN": "postgresql://nobody@127.0.0.1:9/none", "TESTS_HOOK": url}
        up = await asyncio.to_thread(lambda: alone("up", "--detach", "--port", "0", **away))
        try:
            assert up.status == 0, up
            failed = await heard(hook, "memory.prune")
            assert "memory.prune failed [database.unreachable]" in failed
            claude.write_text('{"theme": "dark", "env": {"A_KEY": "sk-canary"}}')
            changed = await heard(hook, "config.changed")
            assert "config.changed claude-code done: env.A_KEY" in changed
            shown = alone("config", "show", "--json").out + alone("events", "--json").out
        finally:
            assert (await asyncio.to_thread(alone, "down")).status == 0
    written = [path.read_bytes() for path in Path(alone.root).rglob("*") if path.is_file()]
    assert not any(b"canary" in each for each in (shown.encode(), *written))
