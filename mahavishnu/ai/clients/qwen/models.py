"""
Which models of Qwen Code's settings would get the key of a session that is started on a profile.

An element of `modelProviders` with the model's id wins, address and key, over options and environment;
one for another task (`fastModel`) is asked beside it. Where the variable of an element is not set, Qwen
Code takes the session's key. Those of a project are read without a question. So all are looked at, and
never written. Tests against the real client show it.
"""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from mahavishnu.ai.clients.delivery import Delivery
from mahavishnu.ai.clients.qwen.settings import LISTS, QwenSettings
from mahavishnu.ai.clients.settings import home, text_at
from mahavishnu.ai.foreign_files.documents import Value
from mahavishnu.ai.foreign_files.documents.json_document import JsonDocument
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.base.errors import Conflict, Forbidden, UsageError

_SETTINGS = Path(".qwen") / "settings.json"

type Element = Mapping[str, Value]


def find_model(
    delivery: Delivery, given: Collection[str], *, environ: Mapping[str, str], folder: Path
) -> str | None:
    """
    Return the variable in which the user's own element of this model and address looks for its key.

    None where there is no such element. `given` are the variables that the session's key will be in.

    Raises:
        Conflict: `ai.model_taken`, the user has the model at another address, or another model that
            would be given the key.
        Forbidden: `secret.project_redirects`, a project has models.
        Corrupt: settings that cannot be read.
    """
    users = QwenSettings().file(environ)
    # A folder is told by its own path, a home often by that of a link to it.
    at_home, here = home(environ).resolve(), folder.resolve()
    for each in (here, *here.parents):
        if each == at_home:
            break
        _require_none(each / _SETTINGS, delivery)
    document = _read(users)
    variable = None
    for kind, element in _elements(document):
        wins = kind == LISTS[delivery.protocol] and element.get("id") == delivery.model
        own = str(element.get("envKey") or "")
        if wins and element.get("baseUrl") == delivery.url:
            variable = variable or own or None
        elif wins:
            raise _taken(delivery.model)
        elif not _is_at(element, delivery.url):
            has_its_own = environ.get(own) or text_at(document, ("env", own))
            if own in given or not own or not has_its_own:
                raise _taken(str(element.get("id")))
    return variable


def _require_none(path: Path, delivery: Delivery) -> None:
    """Refuse settings of a project with a model of this id, or with any at another address."""
    for _, element in _elements(_read(path)):
        if element.get("id") == delivery.model or not _is_at(element, delivery.url):
            raise Forbidden(
                f"The settings of this project send requests elsewhere: {path}",
                hint="Look into it; take the models out of its modelProviders.",
                code="secret.project_redirects",
            )


def _is_at(element: Element, url: str) -> bool:
    try:
        return origin_of(str(element.get("baseUrl") or "")) == origin_of(url)
    except UsageError:
        return False


def _read(path: Path) -> JsonDocument:
    try:
        return JsonDocument.parse(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return JsonDocument.parse(b"")


def _elements(document: JsonDocument) -> Iterator[tuple[str, Element]]:
    lists = document.get(("modelProviders",))
    for kind, listed in lists.items() if isinstance(lists, dict) else ():
        for each in listed if isinstance(listed, list) else ():
            if isinstance(each, dict):
                yield kind, each


def _taken(model: str) -> Conflict:
    return Conflict(
        f"The settings of Qwen Code have the model {model} at another address, and this session's key"
        " could go there.",
        hint="Export the key of that model in a variable of its own, or remove it there; or switch"
        " with: mahavishnu ai switch-llm",
        code="ai.model_taken",
    )
