"""What a client is started with, so that one session of it is on a profile and no file is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from mahavishnu.ai.clients.delivery import Delivery
from mahavishnu.base.masking import Secret


@dataclass(frozen=True)
class Options:
    """Words that follow the program's name, and variables, which may hold the key."""

    words: tuple[str, ...]
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


class CheckProject(Protocol):
    """Tells whether settings of a project would lead elsewhere what is meant for an address."""

    def __call__(self, bound: str, *, folder: Path, environ: Mapping[str, str]) -> None:
        """
        Refuse where they would.

        Raises:
            Forbidden: `secret.project_redirects`.
        """
        ...


class Launcher(Protocol):
    """How one client is started on a profile; `check_project` where settings of a project count."""

    @property
    def check_project(self) -> CheckProject | None: ...

    def find_options(
        self,
        delivery: Delivery,
        words: Sequence[str],
        *,
        key: Secret,
        environ: Mapping[str, str],
        folder: Path,
    ) -> Options:
        """
        Return what it is given; `words` are the user's own, `environ` what is exported, `folder` where it will work.

        Raises:
            UsageError: `ai.own_settings`.
            Conflict: `ai.model_taken`.
            Forbidden: `secret.project_redirects`.
        """
        ...
