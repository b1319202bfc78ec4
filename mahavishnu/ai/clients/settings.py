"""What the settings of every AI client are to a switch: where, and which members of them a profile owns."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from mahavishnu.ai.clients.delivery import Delivery
from mahavishnu.ai.foreign_files.documents import ABSENT, Absent, Document, KeyPath, Value
from mahavishnu.ai.foreign_files.merge import Change, Remove, Set
from mahavishnu.base.errors import Conflict, NotFound

# A file of the user, or one for a single project.
type Scope = Literal["user", "project"]


@dataclass(frozen=True)
class Known:
    """
    What is known of a file beside its text.

    `originals` has, by path, what the user had before our first write, `adopted` what was accepted there
    since; `made` the outermost parent that we made for a path of ours; `running` says whether a session
    of the client runs, `project` whether the file is a project's.
    """

    originals: Mapping[KeyPath, Value | Absent] = field(default_factory=dict)
    adopted: Mapping[KeyPath, Value | Absent] = field(default_factory=dict)
    made: Mapping[KeyPath, KeyPath] = field(default_factory=dict)
    running: bool = False
    project: bool = False

    def before(self, path: KeyPath, document: Document) -> Value | Absent:
        """Return what the user had there before our first write; what is there if it was never ours."""
        return self.originals[path] if path in self.originals else document.get(path)

    def give_back(self, path: KeyPath) -> list[Change]:
        """Return what makes the member the user's again; nothing where it was never ours."""
        if path not in self.originals:
            return []
        original = self.originals[path]
        if isinstance(original, Absent):
            return [Remove(path, self.made.get(path))]
        return [Set(path, original)]


@dataclass(frozen=True)
class CurrentProvider:
    """
    What a client's settings say now.

    `key` is the reference of a helper or variable, "written" for a raw one, else empty; with neither
    `url` nor `key` it is the client's own sign-in that counts.
    """

    url: str = ""
    model: str = ""
    key: str = ""


class SettingsPort(Protocol):
    """
    A client's settings.

    `shared` are owned members that are the user's to choose too: another value there is no conflict;
    `writes` those of them that the client writes, as its user chooses a model. Paths of `secrets`, and
    what is below them, hold keys. `project_file` is where, from a project's folder, the client reads
    settings for that project; None where it reads none.
    """

    needs_model: bool
    shared: Collection[KeyPath]
    writes: Collection[KeyPath]
    project_file: Path | None

    def folder(self, environ: Mapping[str, str]) -> Path:
        """Return where the client keeps what is its user's."""
        ...

    def file(self, environ: Mapping[str, str]) -> Path:
        """Return the user's settings."""
        ...

    def read_as(self) -> type[Document]:
        """Return the format of its settings, which is imported only now."""
        ...

    def check(self, document: Document) -> None:
        """
        Refuse settings that the client would not accept as they are.

        Raises:
            Corrupt: `document.rejected`.
        """
        ...

    def is_secret(self, path: KeyPath) -> bool:
        """Tell whether a key may stand at the path."""
        ...

    def without(self, path: KeyPath) -> Value:
        """Return what stands where a key of the user's stood that cannot be brought back."""
        ...

    def gives_back(self, path: KeyPath, delivery: Delivery) -> bool:
        """Tell whether a member, after this was written, is the user's again."""
        ...

    def blank(self, path: KeyPath) -> Value | Absent:
        """Return what to write, for a running session, before a member is removed; ABSENT: nothing."""
        ...

    def changes(self, document: Document, delivery: Delivery, known: Known) -> list[Change]:
        """Return what points the client at the profile, whatever it was pointed at before."""
        ...

    def see(self, document: Document) -> CurrentProvider:
        """Return what the settings say."""
        ...

    def notes(self, delivery: Delivery, *, running: bool) -> list[str]:
        """Return what the user should know after the switch."""
        ...


def home(environ: Mapping[str, str]) -> Path:
    """
    Return the user's home folder.

    Raises:
        NotFound: `ai.no_home`.
    """
    said = environ.get("HOME", "")
    if not said.startswith("/"):
        raise NotFound(
            "HOME does not say where your home is.",
            hint="Set it to a full path.",
            code="ai.no_home",
        )
    return Path(said)


def text_at(document: Document, path: KeyPath) -> str:
    """Return the text of a member; empty where there is none, or something else."""
    value = document.get(path)
    return value if isinstance(value, str) else ""


def is_there(document: Document, path: KeyPath) -> bool:
    """Tell whether the document has the member."""
    return document.get(path) is not ABSENT


def session_running(title: str) -> Conflict:
    """Return the error for a change that a running session would take over in part."""
    return Conflict(
        f"A session of {title} runs that would take the new address over and keep its old key.",
        hint=f"End the sessions of {title}, then try again.",
        code="ai.session_running",
    )
