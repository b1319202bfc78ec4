"""It hands its address on to its hooks."""

from pathlib import Path

from mahavishnu.ai.clients.facts import Expected
from mahavishnu.ai.clients.hook_call import HookCall


def find_faults(call: HookCall, expected: Expected, profile: str, judged: Path) -> list[str]:
    url = call.environ.get("FOURTH_URL", "")
    return [] if url == expected.url else [f"requests go to {url}"]
