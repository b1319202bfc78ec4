"""
Give a client the key that it asks for, where everything says that it may have it.

Standard library only for a variable, and little of it: clients wait for this at their start.
"""

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mahavishnu.ai.bindings.location import copy_of, path_in, state_folder
from mahavishnu.ai.clients.key_command import Asked
from mahavishnu.ai.clients.requests import require_bound, require_no_proxy
from mahavishnu.ai.clients.table import facts_of
from mahavishnu.ai.secrets.table import scheme_of
from mahavishnu.base.masking import Secret

if TYPE_CHECKING:
    from mahavishnu.ai.secrets.oneiric.stores import FindStores


def release(
    asked: Asked, environ: Mapping[str, str], *, folder: Path, stores: "FindStores | None" = None
) -> Secret:
    """
    Return the key, if the client, which works in `folder`, asks where the key is bound to.

    `stores` finds the cloud stores of the settings, which are read for such a key alone; None: none.

    What is not in the environment is asked of the running daemon, which remembers it for a while,
    and else read here.

    Raises:
        Forbidden: `secret.other_profile`, the folder is bound to a profile that has another key.
        MahavishnuError: as `require_bound`, `require_no_proxy`, `require_settings` of the client and
            `SecretStore.read`.
    """
    _require_bound_profile(asked, environ, folder)
    require_bound(asked.bound, asked.client, environ)
    require_no_proxy(asked.bound, asked.client, environ)
    settings = import_module(facts_of(asked.client).key_settings)
    settings.require_settings(asked, folder=folder, environ=environ)
    key = scheme_of(asked.reference.scheme).read_at_once(asked.reference, environ)
    if key is not None:
        return key
    from mahavishnu.ai.bindings.stored_keys import read_key  # noqa: PLC0415 - slow

    return read_key(asked.reference, environ, stores)


def _require_bound_profile(asked: Asked, environ: Mapping[str, str], folder: Path) -> None:
    """Refuse where the folder is bound to another profile; quick where no folder ever was."""
    file = path_in(state_folder(environ))
    if os.path.lexists(file) or os.path.lexists(copy_of(file)):
        from mahavishnu.ai.bindings.keys import require_bound_profile  # noqa: PLC0415 - slow

        require_bound_profile(asked, file, folder, process=os.getppid())
