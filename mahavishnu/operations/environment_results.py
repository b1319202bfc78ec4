"""What the operations on AI clients give; keys never are among it."""

from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, field

from mahavishnu.operations.bodies import Body


class ProfileBody(Body, frozen=True, kw_only=True):
    """A profile, and who uses it."""

    name: str
    title: str
    origin: Annotated[str, Meta(description="built-in, preset, or the file that says it.")]
    auth: str
    protocols: list[str]
    model: str | None = None
    key: Annotated[str | None, Meta(description="Where its key is; never the key.")] = None
    key_state: str
    used_by: list[str]


class Profiles(Body, frozen=True, kw_only=True):
    """All profiles."""

    profiles: list[ProfileBody]
    notes: Annotated[
        list[str], Meta(description="Why profiles are missing, or other than their file says.")
    ] = field(default_factory=list)


class DriftBody(Body, frozen=True, kw_only=True):
    """A member of a settings file that is not as a switch wrote it; keys are masked."""

    path: list[str]
    written: Any
    now: Any
    author: Annotated[
        str,
        Meta(
            description="Who changed it: client (the client itself), unknown (by hand or by another program),"
            " or cc-switch (as unknown, and cc-switch is installed here)."
        ),
    ]


class ClientBody(Body, frozen=True, kw_only=True):
    """One client's settings as they are."""

    client: str
    scope: Annotated[str, Meta(description="user, or project: of the folder worked in.")] = "user"
    path: str
    installed: bool
    enabled: bool
    use: Annotated[str, Meta(description="profile, sign-in (its own), other, or nothing.")]
    profile: str | None = None
    url: str = ""
    model: str = ""
    key: Annotated[str, Meta(description="How it gets its key; never the key.")] = ""
    sessions: Annotated[int, Meta(description="Sessions of it that run.")] = 0
    drift: list[DriftBody] = field(default_factory=list)
    changed_at: Annotated[
        str | None,
        Meta(description="When drifted settings were last written; absent where deleted."),
    ] = None
    warning: Annotated[
        str,
        Meta(description="What the client does with its key now that another changed the address."),
    ] = ""
    problem: Annotated[str | None, Meta(description="Why its settings cannot be read.")] = None


class SwitchBody(Body, frozen=True, kw_only=True):
    """A switch that was made."""

    id: UUID
    at: str
    kind: str
    profile: str
    clients: list[str]
    undone: bool


class LlmState(Body, frozen=True, kw_only=True):
    """The clients, and the last switches, the latest first."""

    clients: list[ClientBody]
    switches: list[SwitchBody]


class MemberBody(Body, frozen=True, kw_only=True):
    """A member of a settings file before and after; keys are masked, null where it is absent."""

    path: list[str]
    before: Any
    after: Any


class SwitchedClient(Body, frozen=True, kw_only=True):
    """What a switch does to one client."""

    client: str
    path: str
    delivery: Annotated[
        str,
        Meta(
            description="How it gets the key: helper, environment, native (own sign-in), keyless."
        ),
    ]
    changed: bool
    members: list[MemberBody]


class UnchangedClient(Body, frozen=True, kw_only=True):
    """A client that stays as it is."""

    client: str
    reason: str


class SwitchResult(Body, frozen=True, kw_only=True):
    """What was switched, or would be without `confirm`."""

    confirmed: bool
    profile: str
    id: Annotated[
        UUID | None, Meta(description="For undo_switch; absent where nothing was changed.")
    ] = None
    clients: list[SwitchedClient]
    unchanged: list[UnchangedClient]
    notes: list[str]


class UndoResult(Body, frozen=True, kw_only=True):
    """What was taken back, or would be without `confirm`."""

    confirmed: bool
    profile: Annotated[str, Meta(description="The profile that the switch had been to.")]
    clients: list[str]
    already: Annotated[bool, Meta(description="It had been taken back before.")] = False
    lost: Annotated[
        list[str], Meta(description="Members whose key could not come back: it was never kept.")
    ] = field(default_factory=list)


class SessionBody(Body, frozen=True, kw_only=True):
    """
    A session that runs.

    `reach` and `model_reach` say how a switch reaches address and key, and the model: live, thread (a
    new thread), restart, own (not at all). `needs` is what it takes to be on what the settings say:
    nothing, thread or restart. `since` is in ISO 8601, and `resume` a line for a shell without any key.
    """

    id: str | None
    client: str
    pid: int
    shared_process: bool
    folder: str
    profile: str | None
    url: str
    model: str
    activity: str
    since: str | None
    version: str
    interactive: bool
    reach: str
    model_reach: str
    needs: str
    why: str
    here: bool
    resume: str


class Sessions(Body, frozen=True, kw_only=True):
    """The sessions that run."""

    sessions: list[SessionBody]


class ResumedSession(Body, frozen=True, kw_only=True):
    """Where a session that was started again is now."""

    pid: int
    profile: str | None
    model: str


class RestartedSession(SessionBody, frozen=True, kw_only=True):
    """
    A session as it was, and what became of it.

    `outcome`: resumed (it was seen to run again, at `now`), stopped (it ended, and `resume` brings it
    back), left (nothing was done, for the `reason` given), stays (it was asked to end, and runs still).
    `left_out` are options that it had and that `resume` has not, `remaining` pids of processes that it
    had started and that did not end with it.
    """

    outcome: str
    reason: str
    left_out: list[str]
    remaining: list[int]
    now: ResumedSession | None


class RestartResult(Body, frozen=True, kw_only=True):
    """What became of each session that was to be restarted."""

    sessions: list[RestartedSession]
