"""The clients' settings that were changed since we wrote them, which are to be adopted or restored."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mahavishnu.ai_env.clients.table import CLIENTS
from mahavishnu.ai_env.documents import Document
from mahavishnu.ai_env.drift import Drift, find_drift
from mahavishnu.ai_env.files import told
from mahavishnu.ai_env.plan import Place, Scope
from mahavishnu.ai_env.profiles import ClientName
from mahavishnu.ai_env.settle import Settled
from mahavishnu.ai_env.site import Site, require_client


@dataclass(frozen=True)
class Changed:
    """One file, what it says, and what of it is not as we wrote it."""

    place: Place
    document: Document
    drift: tuple[Drift, ...]


def find_changed(
    site: Site, clients: Sequence[ClientName], scope: Scope, settled: Settled
) -> list[Changed]:
    """
    Return the changed settings of the named clients, else of all; what we never wrote is not read.

    Raises:
        MahavishnuError: as `require_client` and `Site.path_of` for clients that are named; one of the
            files cannot be read, or an interrupted switch of it cannot be settled.
    """
    found = []
    for place in _places(site, clients, scope, settled):
        settled.require([str(place.path)])
        with told(place.path):
            document = site.open(place.client, place.path).read()
            place.client.check(document)
        if drift := find_drift(place, document):
            found.append(Changed(place, document, drift))
    return found


def _places(
    site: Site, clients: Sequence[ClientName], scope: Scope, settled: Settled
) -> Iterator[Place]:
    for name in dict.fromkeys(clients or CLIENTS):
        if clients:
            require_client(site, name)
        elif (
            not site.settings_of(name).enabled
            or not site.has(name)
            or (scope == "project" and CLIENTS[name].project_file(site.folder) is None)
        ):
            continue
        place = site.place(name, scope, settled.history)
        if place.memory.profile is not None:
            yield place
