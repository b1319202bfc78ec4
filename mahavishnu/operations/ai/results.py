"""
What the operations on AI clients give, on the command line, over HTTP and MCP and in Python; keys never are among it.

All members are there, null where there is nothing.
"""

from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from msgspec import Meta, Struct

from mahavishnu.ai.clients.table import ClientName
from mahavishnu.ai.switching.answers import AnswerVerdict
from mahavishnu.ai.switching.journal import title_of
from mahavishnu.base.errors import MahavishnuError, tell

type RoutedTo = Annotated[
    list[str], Meta(description="Through the gateway, its profiles in order; empty: straight.")
]


class Whole(Struct, frozen=True, kw_only=True):
    """A result, or a part of one, with all its members."""

    @classmethod
    def like(cls, source: object, **other: Any) -> Self:
        """Return it with what `source` has by the same names, and with `other` members; tuples become lists."""
        same = {name: getattr(source, name) for name in cls.__struct_fields__ if name not in other}
        lists = {name: list(each) for name, each in same.items() if isinstance(each, tuple)}
        return cls(**same | lists | other)


class Problem(Whole, frozen=True, kw_only=True):
    """An error that was met; the answer goes on without what it is about."""

    kind: str
    code: str
    message: str
    hint: str | None

    @classmethod
    def of(cls, error: MahavishnuError | None) -> Self | None:
        """Return what is shown of an error, where there is one."""
        return None if error is None else cls(**tell(error))  # type: ignore[arg-type]


class ProfileBody(Whole, frozen=True, kw_only=True):
    """A profile, and who uses it."""

    name: str
    title: str
    origin: Annotated[str, Meta(description="built-in, preset, or the file that says it.")]
    auth: str
    protocols: list[str]
    model: str | None
    key: Annotated[str | None, Meta(description="Where its key is; never the key.")]
    key_state: str
    used_by: list[ClientName]


class UnusableProfile(Whole, frozen=True, kw_only=True):
    """One of the user's own profiles that cannot be used, and why."""

    profile: str
    code: str
    message: str
    hint: str | None


class SettingsCheck(Whole, frozen=True, kw_only=True):
    """Whether the settings and the user's own profiles are valid, and what to know."""

    valid: bool
    notices: list[str]
    unusable: list[UnusableProfile]


class MissingBody(Whole, frozen=True, kw_only=True):
    """What shared profiles need and this machine does not have."""

    profile: str | None
    what: str
    code: str
    message: str
    hint: str | None


class DriftBody(Whole, frozen=True, kw_only=True):
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


class DriftedFile(Whole, frozen=True, kw_only=True):
    """A settings file, and what was changed in it since a switch."""

    client: ClientName
    scope: Annotated[str, Meta(description="user, or project: of the folder worked in.")]
    path: str
    enabled: bool
    drift: list[DriftBody]
    author: Annotated[str | None, Meta(description="Who changed the file as a whole, likely.")]
    changed_at: Annotated[
        str | None, Meta(description="When drifted settings were last written; null where deleted.")
    ]
    warning: Annotated[
        str | None,
        Meta(description="What the client does with its key now that another changed the address."),
    ]


class ClientBody(DriftedFile, frozen=True, kw_only=True):
    """One client's settings as they are."""

    installed: bool
    use: Annotated[str, Meta(description="profile, sign-in (its own), other, or nothing.")]
    profile: str | None
    url: str
    model: str
    key: Annotated[str, Meta(description="How it gets its key; never the key.")]
    route: RoutedTo
    pinned: Annotated[bool, Meta(description="Whether it has no fallback now.")]
    sessions: Annotated[int, Meta(description="Sessions of it that run.")]
    problem: Annotated[Problem | None, Meta(description="Why its settings cannot be read.")]


class Profiles(Whole, frozen=True, kw_only=True):
    """All profiles, and the clients that use them."""

    profiles: list[ProfileBody]
    unusable: list[UnusableProfile]
    clients: list[ClientBody]
    missing: list[MissingBody]
    notes: Annotated[
        list[str], Meta(description="Why profiles are missing, or other than their file says.")
    ]


class UnreadFile(Whole, frozen=True, kw_only=True):
    """A settings file that could not be looked at."""

    client: ClientName
    path: str
    problem: Problem


class Changes(Whole, frozen=True, kw_only=True):
    """What was changed in clients' settings since switches wrote them."""

    files: list[DriftedFile]
    unread: list[UnreadFile]


class SwitchBody(Whole, frozen=True, kw_only=True):
    """A switch that was made, undone or interrupted."""

    id: UUID
    at: str
    kind: str
    profile: str
    scope: str
    clients: list[ClientName]
    undoes: UUID | None
    lost: Annotated[list[str], Meta(description="Members whose keys cannot come back.")]
    undone: bool
    interrupted: bool

    @property
    def title(self) -> str:
        """What it is called in a sentence."""
        return title_of(self.kind, self.profile)


class Switches(Whole, frozen=True, kw_only=True):
    """Switches, the latest first."""

    switches: list[SwitchBody]


class Bound(Whole, frozen=True, kw_only=True):
    """The binding of the current folder, or why it is unknown."""

    profile: str | None = None
    folder: str | None = None
    problem: Problem | None = None


class LlmState(Whole, frozen=True, kw_only=True):
    """The clients, and the last switches, the latest first."""

    bound: Bound | None
    clients: list[ClientBody]
    interrupted: Annotated[list[UUID], Meta(description="Switches that were not ended.")]
    switches: list[SwitchBody]


class MemberBody(Whole, frozen=True, kw_only=True):
    """A member of a settings file before and after; keys are masked, null where it is absent."""

    path: list[str]
    before: Any
    after: Any


class SwitchedClient(Whole, frozen=True, kw_only=True):
    """What a switch does to one client."""

    client: ClientName
    path: str
    mode: Annotated[
        str,
        Meta(
            description="How it gets the key: helper, environment, native (own sign-in), written, keyless."
        ),
    ]
    delivery: Annotated[str, Meta(description="The same as mode.")]
    url: str
    model: str
    changed: bool
    members: list[MemberBody]
    route: RoutedTo
    restarts: Annotated[bool, Meta(description="Whether its settings change, not its route alone.")]
    conflicts: Annotated[list[list[str]], Meta(description="Members that were changed by hand.")]
    plain_keys: Annotated[list[list[str]], Meta(description="Members that hold a key of others.")]


class UnchangedClient(Whole, frozen=True, kw_only=True):
    """A client that stays as it is."""

    client: ClientName
    reason: str


class Written(Whole, frozen=True, kw_only=True):
    """What was written to clients' settings for a profile, or would be."""

    id: Annotated[UUID | None, Meta(description="For undo_switch; null where nothing was changed.")]
    profile: str
    scope: str
    clients: list[SwitchedClient]
    unchanged: list[UnchangedClient]
    notes: list[str]
    lost: Annotated[list[str], Meta(description="Members whose keys were given up.")]


class Restored(Whole, frozen=True, kw_only=True):
    """What was written again, or would be."""

    dry_run: bool
    restored: list[Written]
    settled: list[str]


class AdoptedFile(Whole, frozen=True, kw_only=True):
    """What counts as written from now on in a settings file."""

    id: UUID
    client: ClientName
    scope: str
    path: str
    profile: str
    members: list[MemberBody]


class Adopted(Whole, frozen=True, kw_only=True):
    """What was adopted."""

    adopted: list[AdoptedFile]
    settled: list[str]


class UndoResult(Whole, frozen=True, kw_only=True):
    """What was taken back, or would be without `confirm`."""

    id: Annotated[UUID | None, Meta(description="Id of the undoing; null where it has none.")]
    at: str
    kind: str = "undo"
    profile: Annotated[str, Meta(description="The profile that the switch had been to.")]
    scope: str
    clients: list[ClientName]
    undoes: UUID
    lost: Annotated[
        list[str], Meta(description="Members whose key could not come back: it was never kept.")
    ]
    given_up: Annotated[
        list[MemberBody], Meta(description="What others had written and had been adopted.")
    ]
    title: Annotated[str, Meta(description="What was taken back, in words.")]
    settled: Annotated[list[str], Meta(description="What was done about an interrupted switch.")]
    confirmed: bool
    already: Annotated[bool, Meta(description="It had been taken back before.")] = False


class SessionBody(Whole, frozen=True, kw_only=True):
    """
    A session that runs.

    `reach` and `model_reach` say how a switch reaches address and key, and the model: live, thread (a
    new thread), restart, own (not at all). `needs` is what it takes to be on what the settings say:
    nothing, thread or restart. `since` is in ISO 8601, and `resume` a line for a shell without any key.
    """

    id: str | None
    client: ClientName
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


class Sessions(Whole, frozen=True, kw_only=True):
    """The sessions that run."""

    sessions: list[SessionBody]


class ResumedSession(Whole, frozen=True, kw_only=True):
    """Where a session that was started again is now."""

    pid: int
    profile: str | None
    model: str
    needs: str


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


class RestartResult(Whole, frozen=True, kw_only=True):
    """What became of each session that was to be restarted, and of the desktop app where that was asked for."""

    sessions: list[RestartedSession]
    app_restarted: bool | None = None


class TrialBody(Whole, frozen=True, kw_only=True):
    """What came of asking one address of a profile."""

    profile: str
    verdict: AnswerVerdict
    protocol: str | None
    url: str
    model: str | None
    status: int | None
    detail: str
    code: str
    resets_at: datetime | None
    duration_s: float
    meaning: str


class SwitchResult(Written, frozen=True, kw_only=True):
    """What was switched, or would be without `confirm`."""

    dry_run: bool
    confirmed: bool
    settled: Annotated[list[str], Meta(description="What was done about an interrupted switch.")]
    sessions: Annotated[
        list[RestartedSession], Meta(description="Those that run and do not follow by themselves.")
    ]
    trials: Annotated[
        list[TrialBody] | None,
        Meta(description="What came of asking the provider; null if not asked."),
    ]
