"""
Codex: one provider of ours in `config.toml`, always under the same id, and the choice of it.

A thread that is open keeps the provider it began with; a new one takes the present. Codex refuses a
provider with two ways to a key, so that the whole table is exchanged; with none it sends no key at all.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from mahavishnu.ai.clients.delivery import NO_KEY, Delivery
from mahavishnu.ai.clients.key_command import read_words
from mahavishnu.ai.clients.settings import CurrentProvider, Known, home, is_there, text_at
from mahavishnu.ai.foreign_files.documents import ABSENT, Absent, Document, KeyPath, Value
from mahavishnu.ai.foreign_files.merge import Change, Remove, Set
from mahavishnu.base.errors import Corrupt, MahavishnuError

ID = "mahavishnu"
RUN_ID = "mahavishnu-run"  # not that of a switch: Codex merges what is said of one id
CHOSEN: KeyPath = ("model_provider",)
MODEL: KeyPath = ("model",)
PROVIDER: KeyPath = ("model_providers", ID)
OWN_URL: KeyPath = ("openai_base_url",)
OWN_PROVIDER = "openai"  # what Codex uses where nothing is chosen
REFRESH_MS = 300_000
TIMEOUT_MS = 10_000
_SECRETS = ("experimental_bearer_token", "http_headers", "query_params")


class CodexSettings:
    """The settings of Codex."""

    needs_model = False
    shared: Collection[KeyPath] = (MODEL,)
    project_file: Path | None = None  # a project may name no provider
    writes = shared

    def folder(self, environ: Mapping[str, str]) -> Path:
        """Return CODEX_HOME, else ~/.codex."""
        given = environ.get("CODEX_HOME")
        return Path(given).absolute() if given else home(environ) / ".codex"

    def file(self, environ: Mapping[str, str]) -> Path:
        """Return the user's settings."""
        return self.folder(environ) / "config.toml"

    def read_as(self) -> type[Document]:
        """Return TOML."""
        from mahavishnu.ai.foreign_files.documents.toml_document import TomlDocument  # noqa: PLC0415 - each costs time

        return TomlDocument

    def check(self, document: Document) -> None:
        """Refuse what Codex ends at."""
        for path, kind in ((CHOSEN, str), (MODEL, str), (PROVIDER[:1], dict)):
            value = document.get(path)
            if value is not ABSENT and not isinstance(value, kind):
                raise Corrupt(
                    f"{path[0]} has a value of a type that Codex does not accept.",
                    hint="Correct it in an editor; the file was left as it is.",
                    code="document.rejected",
                )

    def is_secret(self, path: KeyPath) -> bool:
        """Tell whether it is a token, or what is sent along."""
        return path[:2] == PROVIDER and len(path) > 2 and path[2] in _SECRETS

    def without(self, path: KeyPath) -> Value:  # noqa: ARG002 - the port's
        """Return "none"."""
        return NO_KEY

    def gives_back(self, path: KeyPath, delivery: Delivery) -> bool:
        """Tell whether it is the model or the address, and the sign-in is the client's own."""
        return delivery.mode == "native" and path in (MODEL, OWN_URL)

    def blank(self, path: KeyPath) -> Value | Absent:  # noqa: ARG002 - the port's
        """Return ABSENT: what is removed is gone."""
        return ABSENT

    def changes(self, document: Document, delivery: Delivery, known: Known) -> list[Change]:
        """Return the provider, the choice of it, and the model, the user's own where there is none."""
        if delivery.mode == "native":
            return self._sign_in(document, known)
        model = [Set(MODEL, delivery.model)] if delivery.model else known.give_back(MODEL)
        return [
            Set(CHOSEN, ID), *(model or [_as_it_is(document)]), Set(PROVIDER, _provider(delivery))
        ]  # fmt: skip

    def _sign_in(self, document: Document, known: Known) -> list[Change]:
        """
        Return what lets Codex use its own provider; a line of the user's stays a line.

        A model that belonged to another provider of the user's is not given back: Codex has its own.
        """
        gone = Remove(PROVIDER, known.made.get(PROVIDER))
        chosen: list[Change] = []
        if isinstance(known.originals.get(CHOSEN), Absent):
            chosen = [Remove(CHOSEN, CHOSEN)]
        elif is_there(document, CHOSEN):
            chosen = [Set(CHOSEN, OWN_PROVIDER)]
        if known.before(CHOSEN, document) in (ABSENT, "", OWN_PROVIDER) and not text_at(
            document, OWN_URL
        ):
            return [*chosen, gone, *known.give_back(MODEL)]
        # Empty, it counts as if it were not there, and the line stays with its comment.
        address = [Set(OWN_URL, "")] if is_there(document, OWN_URL) else []
        return [*chosen, gone, *address, Remove(MODEL, MODEL)]

    def see(self, document: Document) -> CurrentProvider:
        """Return address, model, and where the key comes from."""
        model, chosen = text_at(document, MODEL), text_at(document, CHOSEN)
        if chosen in ("", OWN_PROVIDER):
            return CurrentProvider(model=model, url=text_at(document, OWN_URL))
        place = ("model_providers", chosen)
        token = text_at(document, (*place, "experimental_bearer_token"))
        return CurrentProvider(
            url=text_at(document, (*place, "base_url")) or "other",
            model=model,
            key="written" if token else _reference_in(document, place),
        )

    def notes(self, delivery: Delivery, *, running: bool) -> list[str]:  # noqa: ARG002 - the port's
        """Return what open threads and the background server do not notice."""
        notes = [
            "Threads of Codex that are open stay with the provider they began with; /new and"
            " `codex resume` take the present one."
        ]
        if len(delivery.words) > 1 and delivery.words[1].startswith("env:"):
            notes.append(
                "Codex asks for the key in the environment that its background server was started"
                " with; after exporting it: codex app-server daemon restart"
            )
        return notes


def _as_it_is(document: Document) -> Change:
    """Leave the user's model, for the journal: one that is chosen later goes with its provider."""
    model = document.get(MODEL)
    return Remove(MODEL) if isinstance(model, Absent) else Set(MODEL, model)


def _provider(delivery: Delivery) -> dict[str, Value]:
    provider: dict[str, Value] = {
        "name": f"Mahavishnu: {delivery.profile}",
        "base_url": delivery.url,
        "wire_api": "responses",
    }
    if delivery.words:
        command, *arguments = delivery.words
        provider["auth"] = {
            "command": command,
            "args": list(arguments),
            "timeout_ms": TIMEOUT_MS,
            "refresh_interval_ms": REFRESH_MS,
        }
    elif delivery.mode == "written":
        provider["experimental_bearer_token"] = delivery.key.reveal()
    return provider


def _reference_in(document: Document, place: KeyPath) -> str:
    arguments = document.get((*place, "auth", "args"))
    if isinstance(arguments, list):
        try:
            return str(read_words([str(each) for each in arguments]).reference)
        except MahavishnuError:
            return "other"
    variable = text_at(document, (*place, "env_key"))
    return f"env:{variable}" if variable else ""
