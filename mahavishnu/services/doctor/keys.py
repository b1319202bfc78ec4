"""Checks of providers' keys: which are exported, and which a proxy keeps from a client."""

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.switching.launch import SIGN_INS
from mahavishnu.ai.switching.proxied import proxy_note
from mahavishnu.ai.switching.status import look
from mahavishnu.operations.ai.profiles import known_profiles
from mahavishnu.operations.ai.site import open_site
from mahavishnu.services.doctor.findings import Examination, Finding

# As providers call them; a profile can have its key under any other name.
_USUAL_END = "_API_KEY"
_OTHER_NAMES = ("ANTHROPIC_AUTH_TOKEN", *SIGN_INS)


def look_at_exported_keys(examination: Examination) -> Finding:
    """Name the variables that hold keys of providers; needs `settings`."""
    assert examination.loaded is not None
    keys = [each.key for each in known_profiles(examination.loaded).values()]
    names = {each.place for each in keys if each is not None and each.scheme == "env"}
    found = sorted(
        name
        for name, value in examination.environ.items()
        if value and (name.endswith(_USUAL_END) or name in names or name in _OTHER_NAMES)
    )
    if not found:
        return Finding("exported_keys", "ok", "No key of a provider is exported.")
    return Finding(
        "exported_keys",
        "info",
        f"Exported keys: {', '.join(found)}.",
        "A cloned project can have them sent to a server of its own. A keyring or an encrypted file keeps them"
        " from that: mahavishnu ai profile edit PROFILE --key keyring:SERVICE/NAME",
    )


def look_at_proxies(examination: Examination) -> Finding:
    """Find clients that would reach an endpoint on this machine through a proxy; needs `settings`."""
    assert examination.loaded is not None
    site = open_site(examination.loaded)
    statuses = look(site, known_profiles(examination.loaded), site.journal.read())
    notes = [
        note
        for each in statuses
        for note in proxy_note(
            site,
            each.client,
            each.url,
            asks=CLIENTS[each.client].asks == "helper" and each.key not in ("", "written"),
            scope=each.scope,
        )
    ]
    if not notes:
        return Finding("proxies", "ok", "No client asks this machine through a proxy.")
    return Finding("proxies", "warning", " ".join(notes))
