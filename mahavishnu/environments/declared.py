"""The section `secrets` of the settings, for commands that must know before they write."""

from pathlib import Path

from mahavishnu.ai_env.secrets.declared import DeclaredSecrets, require_present
from mahavishnu.ai_env.secrets.resolve import find_identity
from mahavishnu.settings.sources import Loaded


def require_declared(loaded: Loaded) -> None:
    """Raise what `require_present` does where a key is missing that the settings require."""
    require_present(
        declared_secrets(loaded),
        environ=loaded.environ,
        identity=find_identity(loaded.environ, loaded.locations),
    )


def declared_secrets(loaded: Loaded) -> DeclaredSecrets:
    """Return what the settings require; a relative path is one beside the file that says it."""
    env, file = loaded.settings.secrets.env, loaded.settings.secrets.file
    return DeclaredSecrets(
        env_prefix=env.prefix,
        env_keys=env.required_keys,
        file_path=_place(loaded, file.path),
        file_encryption=file.encryption,
        file_prefix=file.prefix,
        file_keys=file.required_keys,
    )


def _place(loaded: Loaded, path: str | None) -> str | None:
    if path is None or path.startswith(("/", "~/")):
        return path
    origin = Path(loaded.origins["secrets.file.path"].origin)
    folder = origin.parent if origin.is_absolute() else loaded.locations.config
    return str(folder / path)
