"""
The short way of frequent commands: a running daemon answers, which has the model, connections and the hot index.

Where none can, or it refuses, the command does its own work, and tells what is wrong.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from mahavishnu import __version__
from mahavishnu.base.daemon.client import DaemonClient
from mahavishnu.base.daemon.record import find_listening
from mahavishnu.base.daemon.same_settings import HEADER, mark_settings
from mahavishnu.base.daemon.token import read_token
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.logs import get_logger
from mahavishnu.base.settings.sources import Loaded
from mahavishnu.interfaces.cli.options import traced
from mahavishnu.operations.results import SearchAnswer, StoreResult

# By operation, its path and its result.
SHORT: Mapping[str, tuple[str, type[Struct]]] = {
    "search": ("/api/v1/search", SearchAnswer),
    "store_memory": ("/api/v1/memories", StoreResult),
}
PATIENCE_S = 30.0
_log = get_logger(__name__)


def ask_daemon(operation: str, loaded: Loaded, fields: Mapping[str, Any]) -> Struct | None:
    """Return the answer of a daemon of this release and these settings; None where there is none."""
    record = find_listening(loaded.locations.daemon_lock)
    # Groups of projects are a file of the settings' folder, which may be the project's own.
    if record is None or record.version != __version__ or fields.get("group") is not None:
        return None
    path, result = SHORT[operation]
    try:
        token = read_token(loaded.locations.token)
        client = DaemonClient(record, token, timeout_s=PATIENCE_S)
        mark = {HEADER: mark_settings(loaded.settings, token)}
        given = {name: value for name, value in fields.items() if value is not None}
        with traced(loaded):
            answer: Struct = msgspec.convert(client.ask("POST", path, given, mark), result)
    except (MahavishnuError, msgspec.ValidationError) as error:
        _log.info("daemon_does_not_answer", reason=str(error))
        return None
    return answer
