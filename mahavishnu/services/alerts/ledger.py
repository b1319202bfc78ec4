"""
What a channel has reported, what waits, and when it may go: a decision about events, without I/O.

Of an act that fails, works and fails again within the quiet time, the later failure waits until that is over, and
goes only if it still lasts. So a flapping act is two messages for each quiet time, and one that stays broken is
never taken for working.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Literal
from uuid import UUID

from msgspec import Struct, field

from mahavishnu.services.events.journal import Event

OWN_ACTS = "alerts."  # an alert about an alert would have no end
MOST_WAITING = 10  # told one by one; of more the number
HOUR = timedelta(hours=1)

type AlertKind = Literal["failed", "recovered", "done", "skipped"]


class Alert(Struct, frozen=True, kw_only=True):
    """One thing to report."""

    at: datetime
    kind: AlertKind
    what: str
    text: str
    code: str | None = None


class KnownAct(Struct, kw_only=True):
    """What went out about one act: each code when last, whether as failing, and the failure that waits for its time."""

    told: dict[str, datetime] = field(default_factory=dict)
    is_failing: bool = False
    later: Alert | None = None


class Rules(Struct, frozen=True, kw_only=True):
    """What a channel wants, and how often."""

    acts: Sequence[str] = ("*",)
    results: Sequence[str] = ("failed",)
    repeat_after: timedelta = timedelta(hours=6)
    per_hour: int = 20

    def want(self, event: Event) -> bool:
        """Tell whether a channel follows an act."""
        named = any(fnmatchcase(event.what, pattern) for pattern in self.acts)
        return named and not event.what.startswith(OWN_ACTS)


class Message(Struct, frozen=True, kw_only=True):
    """What one message tells: some alerts, and how many more there were."""

    alerts: tuple[Alert, ...]
    more: int
    repeated: int


class Ledger(Struct, kw_only=True):
    """The state of a channel: `position` is the last event that was taken in."""

    position: UUID | None = None
    acts: dict[str, KnownAct] = field(default_factory=dict)
    waiting: list[Alert] = field(default_factory=list)
    more: int = 0
    repeated: int = 0
    sent: list[datetime] = field(default_factory=list)

    def take(self, event: Event, rules: Rules) -> None:
        """Note an event."""
        self.position = event.id
        if not rules.want(event):
            return
        known = self.acts.setdefault(event.what, KnownAct())
        if event.result == "failed":
            self._take_failure(event, known, rules)
        elif event.result == "done" and (known.is_failing or known.later):
            if known.is_failing:
                self._add(_alert(event, "recovered"))
            known.is_failing, known.later = False, None
        elif event.result in rules.results:
            self._tell(known, _alert(event, event.result), rules)

    def next_message(self, rules: Rules, now: datetime) -> Message | None:
        """Return what is to be sent now; None where there is nothing, or the hour is full."""
        for what, known in list(self.acts.items()):
            if known.later and not _lately(known.told.get(known.later.code or ""), now, rules):
                later, known.later = known.later, None
                self._tell_failure(known, later, now)
            recent = any(_lately(told, now, rules) for told in known.told.values())
            if not (known.is_failing or known.later or recent):
                del self.acts[what]
        self.sent = [at for at in self.sent if timedelta(0) <= now - at < HOUR]
        if not self.waiting or len(self.sent) >= rules.per_hour:
            return None
        return Message(alerts=tuple(self.waiting), more=self.more, repeated=self.repeated)

    def note_sent(self, now: datetime) -> None:
        """Note that the message was taken."""
        self.sent.append(now)
        self.waiting, self.more, self.repeated = [], 0, 0

    def _take_failure(self, event: Event, known: KnownAct, rules: Rules) -> None:
        if "failed" not in rules.results:
            return
        alert = _alert(event, "failed")
        if not _lately(known.told.get(event.code or ""), event.at, rules):
            self._tell_failure(known, alert, event.at)
        elif known.is_failing:
            self.repeated += 1
        else:
            known.later = alert

    def _tell_failure(self, known: KnownAct, alert: Alert, now: datetime) -> None:
        known.told[alert.code or ""] = now
        known.is_failing, known.later = True, None
        self._add(alert)

    def _tell(self, known: KnownAct, alert: Alert, rules: Rules) -> None:
        if _lately(known.told.get(alert.kind), alert.at, rules):
            self.repeated += 1
            return
        known.told[alert.kind] = alert.at
        self._add(alert)

    def _add(self, alert: Alert) -> None:
        if len(self.waiting) < MOST_WAITING:
            self.waiting.append(alert)
        else:
            self.more += 1


def _lately(told: datetime | None, now: datetime, rules: Rules) -> bool:
    """Tell whether that was within the quiet time; a time in the future, of a clock that was set back, was not."""
    return told is not None and timedelta(0) <= now - told < rules.repeat_after


def _alert(event: Event, kind: AlertKind) -> Alert:
    state = " -> ".join(filter(None, (event.before, event.after)))
    text = f"{state}: {event.why}" if state and kind == "failed" else state or event.why
    return Alert(at=event.at, kind=kind, what=event.what, text=text, code=event.code)
