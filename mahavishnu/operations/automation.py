"""The operations that let automatic acts rest, and go on."""

import asyncio
import re
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta

from mahavishnu.base.daemon.record import translated_files
from mahavishnu.base.durations import read_duration
from mahavishnu.base.errors import UsageError
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Call, Operation, Request
from mahavishnu.services.schedule.pause import Pause, PauseFile

DURATION = r"^[1-9][0-9]{0,3}[mhdw]$"


class PauseAutomation(Request, frozen=True, kw_only=True):
    """How long automatic acts rest, and whether those that are due are recorded."""

    duration: Annotated[
        Annotated[str, Meta(pattern=DURATION)] | None,
        Meta(
            description='How long, for example "30m", "2h" or "1d"; until it is resumed by default.',
        ),
    ] = None
    dry_run: Annotated[
        bool, Meta(description="Record in the events what would have been done.")
    ] = False

    def check(self) -> None:
        """Refuse what is no duration."""
        if self.duration is not None and not re.match(DURATION, self.duration):
            raise UsageError(
                f"{self.duration!r} is no duration.",
                hint="Write a whole number and its unit: 30m, 2h, 1d or 1w.",
                code="automation.duration",
            )


class ResumeAutomation(Request, frozen=True, kw_only=True):
    """Nothing to choose."""


class Automation(Body, frozen=True, kw_only=True):
    """Whether automatic acts rest."""

    paused: Annotated[Pause | None, Meta(description="The pause that holds; none where they run.")]


def pause(file: PauseFile, request: PauseAutomation) -> Automation:
    """Begin a pause, or change the one that holds; raises as `translated_files`."""
    now = datetime.now(UTC)
    until = now + read_duration(request.duration) if request.duration else None
    begun = Pause(since=now, until=until, dry_run=request.dry_run)
    with translated_files(file.path.parent):
        file.write(begun)
    return Automation(paused=begun)


def resume(file: PauseFile) -> Automation:
    """End the pause, if there is one; raises as `translated_files`."""
    with translated_files(file.path.parent):
        file.remove()
    return Automation(paused=None)


async def pause_automation(call: Call, request: PauseAutomation) -> Automation:
    """Let automatic acts rest; no database is asked."""
    return await asyncio.to_thread(pause, call.app.pause, request)


async def resume_automation(call: Call, _: ResumeAutomation) -> Automation:
    """Let automatic acts go on; no database is asked."""
    return await asyncio.to_thread(resume, call.app.pause)


AUTOMATION_OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        name="pause_automation",
        title="Pause automatic acts",
        description="Let the daemon make no scheduled backups, read no repositories, restart no service "
        "for its settings and forget nothing for its age, for a time or until it is resumed. What waits "
        "to be stored, embedded or delivered goes on.",
        request=PauseAutomation,
        result=Automation,
        run=pause_automation,
        method="POST",
        path="/automation/pause",
    ),
    Operation(
        name="resume_automation",
        title="Resume automatic acts",
        description="End a pause: what was due meanwhile is done once; a dry run counted its jobs as done.",
        request=ResumeAutomation,
        result=Automation,
        run=resume_automation,
        method="POST",
        path="/automation/resume",
    ),
)
