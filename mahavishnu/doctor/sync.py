"""The check of what follows the memories: whether a target fails, and what was refused for good."""

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.doctor.findings import Examination, Finding
from mahavishnu.services.session_buddy.client import SessionBuddy

USUAL = "http://127.0.0.1:8678"  # which Session-Buddy itself does not let one change
LIMIT_S = 1.0


async def look_at_sync(examination: Examination) -> Finding:
    """Look at the targets of sync; needs `memory`."""
    assert examination.app is not None
    targets = await examination.app.outbox.status()
    problems = [
        *(f"{each.name} refused {each.dead:,} changes for good." for each in targets if each.dead),
        *(f"{each.name} fails: {each.error}" for each in targets if each.error),
    ]
    buddy = examination.app.session_buddy
    problems += await buddy.problems() if buddy is not None else ()
    if problems:
        return Finding("warning", " ".join(problems), "mahavishnu sync status")
    if buddy is None and await _answers(USUAL):
        return Finding(
            "info",
            f"A Session-Buddy runs at {USUAL}, and is not used.",
            f"Let insights reach it with session_buddy.address: {USUAL}, "
            "or let Mahavishnu run it, so that it loses no rows: session_buddy.python",
        )
    names = ", ".join(each.name for each in targets if each.configured)
    return Finding("ok", f"Delivers to {names}." if names else "Nothing follows the memories.")


async def _answers(address: str) -> bool:
    """Tell whether a Session-Buddy listens at an address."""
    buddy = SessionBuddy(address)
    try:
        return "store_reflection" in (await buddy.abilities(timeout_s=LIMIT_S)).tools
    except MahavishnuError:
        return False
    finally:
        await buddy.aclose()
