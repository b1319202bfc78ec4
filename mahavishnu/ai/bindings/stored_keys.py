"""Read a key that is in no variable: by the daemon where one runs, which keeps it, else from its store."""

from collections.abc import Mapping
from pathlib import Path

from mahavishnu.ai.secrets.oneiric.stores import FindStores, no_stores
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.ai.secrets.resolve import find_identity, resolve
from mahavishnu.base.daemon.client import DaemonClient, not_running
from mahavishnu.base.daemon.record import find_listening
from mahavishnu.base.daemon.token import read_token
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.masking import Secret
from mahavishnu.base.paths import locate

ROUTE = "/api/v1/secrets/resolve"
DAEMON_TIMEOUT_S = 35.0  # it may have to wait for a passphrase


def read_key(reference: Reference, environ: Mapping[str, str], stores: FindStores | None) -> Secret:
    """Return the key; raises as `SecretStore.read`."""
    locations = locate(environ)
    try:
        return _ask_daemon(reference, locations.daemon_lock, locations.token)
    except MahavishnuError:  # none is there, or what opens the key is not there for it
        identity = find_identity(environ, locations)
        return resolve(reference, environ=environ, identity=identity, stores=stores or no_stores)


def _ask_daemon(reference: Reference, lock: Path, token: Path) -> Secret:
    record = find_listening(lock)
    if record is None:
        raise not_running()
    client = DaemonClient(record, read_token(token), timeout_s=DAEMON_TIMEOUT_S)
    return Secret(str(client.ask("POST", ROUTE, {"reference": str(reference)})["key"]))
