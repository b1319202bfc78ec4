"""The check of what follows the memories: whether a target fails, and what was refused for good."""

from mahavishnu.doctor.findings import Examination, Finding


async def look_at_sync(examination: Examination) -> Finding:
    """Look at the targets of sync; needs `memory`."""
    assert examination.app is not None
    targets = await examination.app.outbox.status()
    problems = [
        *(f"{each.name} refused {each.dead:,} changes for good." for each in targets if each.dead),
        *(f"{each.name} fails: {each.error}" for each in targets if each.error),
    ]
    if problems:
        return Finding("warning", " ".join(problems), "mahavishnu sync status")
    names = ", ".join(each.name for each in targets if each.configured)
    return Finding("ok", f"Delivers to {names}." if names else "Nothing follows the memories.")
