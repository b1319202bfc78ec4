"""Qwen Code on a profile for one session: by options, with the key in its environment."""

from mahavishnu.ai.clients.launch import CheckProject, LaunchOptions, Start
from mahavishnu.ai.clients.qwen.in_force import STARTED_ON
from mahavishnu.ai.clients.qwen.models import find_model
from mahavishnu.ai.clients.qwen.settings import LISTS

_KEYS = {"openai-chat": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY"}

check_project: CheckProject | None = None


def find_options(start: Start) -> LaunchOptions:
    """Return variables with the key, and flags; it has no way to ask a command for the key."""
    delivery = start.delivery
    kind = LISTS[delivery.protocol]
    names = {_KEYS[delivery.protocol]}
    known = find_model(delivery, names, environ=start.environ, folder=start.folder)
    names |= {known} if known else set()
    more = {STARTED_ON: delivery.profile, **dict.fromkeys(names, start.key.reveal())}
    more["NODE_TLS_REJECT_UNAUTHORIZED"] = "1"  # else a .env of the project could switch it off
    flags = ("--auth-type", kind, "--model", delivery.model)
    if kind == "anthropic":
        return LaunchOptions(flags, {**more, "ANTHROPIC_BASE_URL": delivery.url})
    return LaunchOptions((*flags, "--openai-base-url", delivery.url), more)
