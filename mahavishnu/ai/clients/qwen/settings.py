"""
Qwen Code: an element of ours in `modelProviders` for each profile, and the choice of one.

A running session takes the new address of its model over, but keeps its old key: that of a model is
never changed while one runs; elements may come and go. Where the variable of an element is not set,
Qwen Code would send a key of other settings instead: so it is in `env`, as "none", which counts
less than what is exported.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from mahavishnu.ai.clients.delivery import NO_KEY, Delivery
from mahavishnu.ai.clients.settings import CurrentProvider, Known, home, session_running, text_at
from mahavishnu.ai.foreign_files.documents import ABSENT, Absent, Document, KeyPath, Value
from mahavishnu.ai.foreign_files.merge import Change, Exclude, Include, Set
from mahavishnu.base.errors import Conflict, Corrupt

MODEL: KeyPath = ("model", "name")
KIND: KeyPath = ("security", "auth", "selectedType")
LISTS = {"openai-chat": "openai", "anthropic": "anthropic"}
MARK = "Mahavishnu: "


class QwenSettings:
    """The settings of Qwen Code."""

    needs_model = True
    shared: Collection[KeyPath] = (MODEL, KIND)
    project_file: Path | None = None  # a switch is the user's, not a repository's
    writes = shared

    def folder(self, environ: Mapping[str, str]) -> Path:
        """Return QWEN_HOME, where `~` is the home, else ~/.qwen."""
        given = environ.get("QWEN_HOME", "")
        if given == "~" or given.startswith("~/"):
            return home(environ) / given[2:]
        return Path(given).absolute() if given else home(environ) / ".qwen"

    def file(self, environ: Mapping[str, str]) -> Path:
        """Return the user's settings."""
        return self.folder(environ) / "settings.json"

    def read_as(self) -> type[Document]:
        """Return JSON."""
        from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument  # noqa: PLC0415 - each costs time

        return JsonDocument

    def check(self, document: Document) -> None:
        """Refuse what Qwen Code ends at."""
        for name in ("env", "model", "modelProviders", "security"):
            value = document.get((name,))
            if value is not ABSENT and not isinstance(value, dict):
                raise _rejected(name)
        for name in LISTS.values():
            value = document.get(("modelProviders", name))
            if value is not ABSENT and not isinstance(value, list):
                raise _rejected(f"modelProviders.{name}")

    def is_secret(self, path: KeyPath) -> bool:
        """Tell whether it is a variable."""
        return path[0] == "env" and len(path) > 1

    def without(self, path: KeyPath) -> Value:  # noqa: ARG002 - the port's
        """Return "none"."""
        return NO_KEY

    def gives_back(self, path: KeyPath, delivery: Delivery) -> bool:  # noqa: ARG002 - the port's
        """Return False: there is no sign-in of its own to go back to."""
        return False

    def blank(self, path: KeyPath) -> Value | Absent:  # noqa: ARG002 - the port's
        """Return ABSENT: a session never reads variables again."""
        return ABSENT

    def changes(self, document: Document, delivery: Delivery, known: Known) -> list[Change]:
        """
        Return the element, the choice of it, and a value for its variable.

        Raises:
            Conflict: `ai.session_running`, `ai.model_taken`.
        """
        place = ("modelProviders", LISTS[delivery.protocol])
        element: dict[str, Value] = {
            "id": delivery.model,
            "name": f"{MARK}{delivery.profile}",
            "baseUrl": delivery.url,
            "envKey": delivery.variable,
        }
        return [
            *_make_room(_elements(document, place), element, place, known),
            Include(place, element),
            *_variables(document, delivery, known),
            Set(KIND, LISTS[delivery.protocol]),
            Set(MODEL, delivery.model),
        ]

    def see(self, document: Document) -> CurrentProvider:
        """Return address, model, and where the key comes from, of the chosen element."""
        kind, model = text_at(document, KIND), text_at(document, MODEL)
        for each in _elements(document, ("modelProviders", kind or "openai")):
            if each.get("id") == model:
                variable = str(each.get("envKey", ""))
                written = text_at(document, ("env", variable)) if variable else ""
                raw = written not in ("", NO_KEY)
                return CurrentProvider(
                    url=str(each.get("baseUrl", "")),
                    model=model,
                    key="written" if raw else f"env:{variable}",
                )
        return CurrentProvider(url="other" if kind or model else "", model=model)

    def notes(self, delivery: Delivery, *, running: bool) -> list[str]:
        """Return where the key has to be."""
        notes = []
        if running:
            notes.append("Sessions of Qwen Code that run stay with their provider until they end.")
        if delivery.mode == "environment":
            notes.append(
                f"Qwen Code looks for the key in {delivery.variable}; where that is not exported:"
                f" mahavishnu ai run {delivery.profile} -- qwen"
            )
        return notes


def _elements(document: Document, place: KeyPath) -> list[dict[str, Value]]:
    found = document.get(place)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _make_room(
    there: list[dict[str, Value]], element: dict[str, Value], place: KeyPath, known: Known
) -> list[Change]:
    """Return what takes out elements that the new one replaces: same model, or same profile."""
    changes: list[Change] = []
    for each in there:
        same_model = each.get("id") == element["id"]
        same_profile = each.get("name") == element["name"]
        if each == element or not (same_model or same_profile):
            continue
        if not str(each.get("name", "")).startswith(MARK):
            raise Conflict(
                f"The settings of Qwen Code have the model {element['id']} already, at another address"
                " or with another key.",
                hint="Rename or remove it there, or give the profile another model.",
                code="ai.model_taken",
            )
        if known.running and same_model:
            raise session_running("Qwen Code")
        changes.append(Exclude(place, each))
    return changes


def _variables(document: Document, delivery: Delivery, known: Known) -> list[Change]:
    """Return a value for the variable, and none but "none" for others that we had written."""
    own = ("env", delivery.variable)
    changes: list[Change] = [
        Set(path, NO_KEY)
        for path in known.originals
        if path[0] == "env" and path != own and text_at(document, path) not in ("", NO_KEY)
    ]
    if delivery.mode != "environment":
        return [*changes, Set(own, delivery.key.reveal())]
    if own in known.originals or not text_at(document, own):
        changes.append(Set(own, NO_KEY))
    return changes


def _rejected(name: str) -> Corrupt:
    return Corrupt(
        f"{name} has a value of a type that Qwen Code does not accept.",
        hint="Correct it in an editor; the file was left as it is.",
        code="document.rejected",
    )
