"""
Which elements of Qwen Code's settings go before what it is told when it is started.

One with the model's id wins, address and key, over options and environment; those of a project are
read without a question. So they are looked at, and never written.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mahavishnu.ai_env.clients.port import home
from mahavishnu.ai_env.clients.qwen import LISTS
from mahavishnu.ai_env.clients.table import CLIENTS
from mahavishnu.ai_env.delivery import Delivery
from mahavishnu.ai_env.documents.json_document import JsonDocument
from mahavishnu.errors import Conflict, Forbidden

_SETTINGS = Path(".qwen") / "settings.json"


def find_model(delivery: Delivery, *, environ: Mapping[str, str], folder: Path) -> str | None:
    """
    Return the variable in which the user's own element of this model and address looks for its key.

    None where there is no such element.

    Raises:
        Conflict: `ai.model_taken`, the user has the model at another address.
        Forbidden: `secret.project_redirects`, a project has the model.
        Corrupt: settings that cannot be read.
    """
    users = CLIENTS["qwen"].file(environ)
    for each in (folder, *folder.parents):
        path = each / _SETTINGS
        if each == home(environ) or path == users:
            break
        if any(True for _ in _elements(path, delivery)):
            raise Forbidden(
                f"The settings of this project send requests elsewhere: {path}",
                hint=f"Look into it; take the model {delivery.model} out of its modelProviders.",
                code="secret.project_redirects",
            )
    variable = None
    for element in _elements(users, delivery):
        if element.get("baseUrl") != delivery.url:
            raise Conflict(
                f"The settings of Qwen Code have the model {delivery.model} at another address, and"
                " those go before what it is started with.",
                hint="Switch with: mahavishnu ai switch-llm, or give the profile another model.",
                code="ai.model_taken",
            )
        variable = variable or str(element.get("envKey") or "") or None
    return variable


def _elements(path: Path, delivery: Delivery) -> Iterator[Mapping[str, object]]:
    """Yield the elements of the model, of all that is listed under the protocol."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return
    listed = JsonDocument.parse(content).get(("modelProviders", LISTS[delivery.protocol]))
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and each.get("id") == delivery.model:
            yield each
