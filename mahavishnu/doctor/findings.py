"""What a check finds and what checks share while they run: values, and the one examination."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.paths import Locations
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.base.settings.tree import Settings

if TYPE_CHECKING:
    from mahavishnu.app import App
    from mahavishnu.database.migrate import SchemaState
    from mahavishnu.embedding.choose import Choice

type Status = Literal["ok", "info", "warning", "error", "skipped"]
STATUSES: tuple[Status, ...] = ("ok", "skipped", "info", "warning", "error")  # best first
LIMIT_S = 10.0


@dataclass(frozen=True)
class Finding:
    """
    What the check `name` found; `look` fills the name in.

    `hint` says what fixes it, with the command where there is one. `fixable`: `--fix` would do it.
    `code` is that of the error that was met, None without one.
    """

    name: str = field(default="", kw_only=True)
    status: Status
    summary: str
    hint: str | None = None
    fixable: bool = False
    code: str | None = None

    @property
    def usable(self) -> bool:
        """Whether checks that build on this one can be made."""
        return self.status in ("ok", "warning")


def failure(error: MahavishnuError, *, fixable: bool = False) -> Finding:
    """Return the finding of a check that met an error."""
    return Finding("error", error.message, error.hint, fixable, error.code)


def worst(findings: Iterable[Finding]) -> Status:
    """Return the worst status; "ok" of none."""
    return max((finding.status for finding in findings), key=STATUSES.index, default="ok")


@dataclass(frozen=True)
class ServerFacts:
    """What a server says of itself. `ahead` is by how much its clock is before this machine's."""

    embedded: bool
    shown: str
    server: str
    major: int
    vector: str | None
    offered: str | None
    sees_all: bool
    ahead: timedelta
    state: "SchemaState"


@dataclass
class Examination:
    """
    One run of the checks: what they are given, and what earlier ones found and opened.

    Whatever is opened is closed by `stack`. Mutable, for the length of one run.
    """

    environ: Mapping[str, str] = field(repr=False)
    flags: Mapping[str, str]
    with_database: bool
    stack: AsyncExitStack
    findings: dict[str, Finding] = field(default_factory=dict)
    locations: Locations | None = None
    loaded: Loaded | None = None
    server: ServerFacts | None = None
    app: "App | None" = None
    choice: "Choice | None" = None
    mismatch: MahavishnuError | None = None

    @property
    def places(self) -> Locations:
        """Where things live; for checks that need `home`."""
        assert self.locations is not None
        return self.locations

    @property
    def settings(self) -> Settings:
        """The settings; for checks that need `settings`."""
        assert self.loaded is not None
        return self.loaded.settings

    @property
    def facts(self) -> ServerFacts:
        """What the server says of itself; for checks that need `database`."""
        assert self.server is not None
        return self.server


@dataclass(frozen=True)
class Check:
    """
    A check by name: how it looks, which others must have found something to build on, what fixes it.

    A plain `look` or `mend` runs in a thread. `mend` is called only for a finding that is `fixable`,
    looks again by itself, and returns what it did.
    """

    name: str
    look: Callable[[Examination], Finding | Awaitable[Finding]]
    needs: tuple[str, ...] = ()
    mend: Callable[[Examination], str | Awaitable[str]] | None = None
    limit_s: float = LIMIT_S
