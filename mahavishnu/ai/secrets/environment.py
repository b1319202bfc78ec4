"""Keys in variables of the environment."""

from collections.abc import Mapping

from mahavishnu.ai.secrets.port import as_key
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.masking import Secret


class EnvironmentStore:
    """Reads `env:NAME`; an empty variable is as good as none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def read(self, reference: Reference) -> Secret:
        """Return the variable's value."""
        return as_key(
            self._environ.get(reference.place),
            reference,
            hint=f"Export {reference.place} where the client is started.",
        )
