"""Its settings: one table, `[asks]`."""

from collections.abc import Collection, Mapping
from pathlib import Path

from mahavishnu.ai.clients.delivery import NO_KEY, Delivery
from mahavishnu.ai.clients.key_command import read_words
from mahavishnu.ai.clients.settings import CurrentProvider, Known, home, text_at
from mahavishnu.ai.foreign_files.documents import ABSENT, Absent, Document, KeyPath, Value
from mahavishnu.ai.foreign_files.documents.toml_document import TomlDocument
from mahavishnu.ai.foreign_files.merge import Change, Remove, Set

URL, MODEL, KEY, COMMAND = (("asks", name) for name in ("url", "model", "key", "command"))


class FourthSettings:
    """The settings of the fourth client."""

    needs_model = False
    shared: Collection[KeyPath] = ()
    writes: Collection[KeyPath] = ()
    project_file: Path | None = None

    def folder(self, environ: Mapping[str, str]) -> Path:
        return Path(environ.get("FOURTH_HOME") or home(environ) / ".fourth")

    def file(self, environ: Mapping[str, str]) -> Path:
        return self.folder(environ) / "fourth.toml"

    def read_as(self) -> type[Document]:
        return TomlDocument

    def check(self, document: Document) -> None:
        pass

    def is_secret(self, path: KeyPath) -> bool:
        return path == KEY

    def without(self, path: KeyPath) -> Value:
        return NO_KEY

    def gives_back(self, path: KeyPath, delivery: Delivery) -> bool:
        return False

    def blank(self, path: KeyPath) -> Value | Absent:
        return ABSENT

    def changes(self, document: Document, delivery: Delivery, known: Known) -> list[Change]:
        raw = delivery.mode == "written"
        return [
            Set(URL, delivery.url),
            Set(MODEL, delivery.model),
            Set(KEY, delivery.key.reveal()) if raw else Remove(KEY),
            Set(COMMAND, list(delivery.words)) if delivery.words else Remove(COMMAND),
        ]

    def see(self, document: Document) -> CurrentProvider:
        command = document.get(COMMAND)
        words = [str(each) for each in command] if isinstance(command, list) else []
        key = str(read_words(words[1:]).reference) if words else ""
        written = "written" if text_at(document, KEY) else ""
        return CurrentProvider(text_at(document, URL), text_at(document, MODEL), key or written)

    def notes(self, delivery: Delivery, *, running: bool) -> list[str]:
        return []
