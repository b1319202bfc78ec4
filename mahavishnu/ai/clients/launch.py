"""What a client is started with, so that one session of it is on a profile and no file is changed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mahavishnu.ai.clients.delivery import Delivery
from mahavishnu.base.masking import Secret

# Refuses an address where settings in the `folder` would lead elsewhere what is meant for it.
type CheckProject = Callable[..., None]


@dataclass(frozen=True)
class Start:
    """One session: the user's own `words`, what is exported, and the `folder` where it will work."""

    delivery: Delivery
    words: Sequence[str]
    key: Secret
    environ: Mapping[str, str] = field(repr=False)
    folder: Path


@dataclass(frozen=True)
class LaunchOptions:
    """Words that follow the program's name, and variables, which may hold the key."""

    words: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


class Launcher(Protocol):
    """How one client is started on a profile."""

    @property
    def check_project(self) -> CheckProject | None:
        """`require_not_redirected`, where settings of a project count over the user's."""
        ...

    def find_options(self, start: Start) -> LaunchOptions:
        """
        Return what it is given.

        Raises:
            UsageError: `ai.own_settings`.
            Conflict: `ai.model_taken`.
            Forbidden: `secret.project_redirects`.
        """
        ...
