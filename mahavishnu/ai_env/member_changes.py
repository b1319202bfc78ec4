"""What a planned switch does to each member, fit to be shown: keys are masked."""

from collections.abc import Iterator
from dataclasses import dataclass

from mahavishnu.ai_env.documents import ABSENT, Absent, KeyPath, Value, same_value
from mahavishnu.ai_env.merge import Exclude, Include
from mahavishnu.ai_env.plan import FilePlan
from mahavishnu.ai_env.redaction import shown


@dataclass(frozen=True)
class MemberChange:
    """A member before and after; of a list, the element alone."""

    path: KeyPath
    before: Value | Absent
    after: Value | Absent


def member_changes(file: FilePlan) -> Iterator[MemberChange]:
    """Yield the members that change."""
    secret = file.place.client.is_secret
    for effect in file.effects:
        change, path = effect.change, effect.change.path
        if same_value(effect.before, effect.after):
            continue
        before, after = shown(effect.before, path, secret), shown(effect.after, path, secret)
        if isinstance(change, Include | Exclude):
            element = shown(change.element, path, secret)
            before, after = (ABSENT, element) if isinstance(change, Include) else (element, ABSENT)
        yield MemberChange(path, before, after)
