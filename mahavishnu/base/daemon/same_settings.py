"""Whether a command and the daemon have the same settings: by a mark that is made of them and the token."""

import hashlib
import hmac

import msgspec

HEADER = "mahavishnu-settings"
# What decides how memories are stored and found.
SECTIONS = ("postgresql", "embedding", "memory", "insights")


def mark_settings(settings: object, token: str) -> str:
    """Return the mark of settings; without the token it says nothing of a password in them."""
    sections = {name: getattr(settings, name) for name in SECTIONS}
    encoded = msgspec.json.encode(sections, enc_hook=str, order="deterministic")
    return hmac.new(token.encode(), encoded, hashlib.sha256).hexdigest()
