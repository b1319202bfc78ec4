"""The simplest store of keys: variables of the environment."""

from collections.abc import Mapping

from mahavishnu.ai.secrets.port import as_key
from mahavishnu.ai.secrets.reference import Reference, bad_reference, is_name
from mahavishnu.ai.secrets.scheme import Scheme, StoreAccess
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


class EnvironmentScheme(Scheme):
    """`env:NAME`."""

    form = "env:NAME"

    def parse(self, rest: str) -> tuple[str, str]:
        """Return the variable."""
        if not is_name(rest):
            raise bad_reference("After env: write the name of a variable: letters, digits and _.")
        return rest, ""

    def open(self, access: StoreAccess, *, asking: bool = True) -> EnvironmentStore:  # noqa: ARG002
        """Return the variables."""
        return EnvironmentStore(access.environ)

    def read_at_once(self, reference: Reference, environ: Mapping[str, str]) -> Secret:
        """Return the variable's value."""
        return EnvironmentStore(environ).read(reference)

    def where(self, reference: Reference) -> str:
        """Return which variable."""
        return f"the variable {reference.place}"


SCHEME: Scheme = EnvironmentScheme()
