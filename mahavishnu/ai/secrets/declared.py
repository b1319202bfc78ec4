"""The keys that the settings say must be there, as references; whether they are is asked in one go."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.ai.secrets.decrypt import FileEncryption
from mahavishnu.ai.secrets.in_environment import EnvironmentStore
from mahavishnu.ai.secrets.in_file import FileStore
from mahavishnu.ai.secrets.reference import Reference, is_name
from mahavishnu.base.errors import NotFound, UsageError


@dataclass(frozen=True)
class DeclaredSecrets:
    """Required keys by name without their prefix; `file_path` is absolute or begins with `~/`."""

    env_prefix: str = ""
    env_keys: tuple[str, ...] = ()
    file_path: str | None = None
    file_encryption: FileEncryption | None = None
    file_prefix: str = ""
    file_keys: tuple[str, ...] = ()

    def references(self) -> tuple[Reference, ...]:
        """
        Return where each required key is, those in variables first.

        Raises:
            UsageError: `secret.declared`, a name that can be none, or a file's key without a file.
        """
        if self.file_keys and self.file_path is None:
            raise UsageError(
                "secrets.file.required_keys names keys, and secrets.file.path no file.",
                hint="Set secrets.file.path.",
                code="secret.declared",
            )
        variables = [f"{self.env_prefix}{key}" for key in dict.fromkeys(self.env_keys)]
        entries = [f"{self.file_prefix}{key}" for key in dict.fromkeys(self.file_keys)]
        for name in (*variables, *entries):
            if not is_name(name):
                raise UsageError(
                    "The names in required_keys, with their prefix, have letters, digits and _ alone.",
                    hint="Only names belong there, not keys.",
                    code="secret.declared",
                )
        return (
            *(Reference("env", name) for name in variables),
            *(Reference("file", str(self.file_path), name) for name in entries),
        )


def find_missing(
    declared: DeclaredSecrets, *, environ: Mapping[str, str], identity: Path
) -> tuple[Reference, ...]:
    """
    Return the required keys that are not there; the file is decrypted once.

    Raises:
        MahavishnuError: as `DeclaredSecrets.references` and `SecretStore.read`, but for what is missing.
    """
    missing: list[Reference] = []
    variables = EnvironmentStore(environ)
    in_file: list[Reference] = []
    for reference in declared.references():
        if reference.scheme == "file":
            in_file.append(reference)
            continue
        try:
            variables.read(reference)
        except NotFound:
            missing.append(reference)
    if in_file:
        store = FileStore(environ, identity=identity, expected=declared.file_encryption)
        missing += store.find_missing(in_file)
    return tuple(missing)


def require_present(
    declared: DeclaredSecrets, *, environ: Mapping[str, str], identity: Path
) -> None:
    """
    Refuse to go on where a required key is missing; to be asked before anything is written.

    Raises:
        NotFound: `secret.required`, naming all of them; else as `find_missing`.
    """
    missing = find_missing(declared, environ=environ, identity=identity)
    if missing:
        raise NotFound(
            f"Keys that the settings require are missing: {', '.join(map(str, missing))}.",
            hint="Bring them in, or take them out of required_keys in the section secrets.",
            code="secret.required",
        )
