"""Commands that Claude Code runs at events: which events and matchers it takes."""

import difflib
import re
import warnings

from mahavishnu.ai.clients import hook_entries
from mahavishnu.ai.clients.claude_code.schema import EVENTS
from mahavishnu.ai.clients.hook_entries import Hook
from mahavishnu.ai.foreign_files.documents import Document
from mahavishnu.ai.foreign_files.merge import Change
from mahavishnu.base.errors import UsageError

# How JavaScript writes a named group.
_NAMED_GROUP = re.compile(r"\(\?<(?=[A-Za-z_])")


def add_hook(document: Document, wanted: Hook) -> list[Change]:
    """
    Return the changes that make the command run at the event; one that does gets the timeout alone.

    Raises:
        UsageError: `claude_settings.event`, `.matcher`, `.command` or `.timeout`.
    """
    _check(wanted)
    return hook_entries.add_hook(document, wanted)


def remove_hook(
    document: Document, event: str, command: str, *, matcher: str | None = None
) -> list[Change]:
    """Return the changes after which the command does not run there: under any matcher if None."""
    require_event(event)
    return hook_entries.remove_hook(document, event, command, matcher=matcher)


def require_event(event: str) -> None:
    """Refuse an event that Claude Code does not know: it would ignore the hook."""
    if event not in EVENTS:
        lower = {each.lower(): each for each in EVENTS}
        near = difflib.get_close_matches(event.lower(), lower, n=1)
        raise UsageError(
            f"Claude Code has no event {event[:80]!r}.",
            hint=f"Did you mean {lower[near[0]]}?" if near else f"There are: {', '.join(EVENTS)}.",
            code="claude_settings.event",
        )


def is_regex(matcher: str) -> bool:
    """Tell whether a matcher can be understood; `*` means all, though it is not a regular expression."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Python may read otherwise one day
        try:
            re.compile(_NAMED_GROUP.sub("(?P<", "" if matcher == "*" else matcher))
        except (re.error, OverflowError, RecursionError):
            return False
    return True


def _check(wanted: Hook) -> None:
    require_event(wanted.event)
    if not wanted.command.strip():
        raise UsageError("The hook has no command.", code="claude_settings.command")
    if wanted.matcher is not None and not is_regex(wanted.matcher):
        raise UsageError(
            f"The matcher {wanted.matcher[:80]!r} is not a regular expression.",
            hint="For example: Bash, or Edit|Write, or mcp__.*",
            code="claude_settings.matcher",
        )
    if wanted.timeout_s is not None and not 0 < wanted.timeout_s < float("inf"):
        raise UsageError(
            "The timeout of a hook is more than 0 seconds.", code="claude_settings.timeout"
        )
