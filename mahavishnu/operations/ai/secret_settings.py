"""The section `secrets` of the settings: which keys it requires, and which cloud stores there are."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from mahavishnu.ai.profiles.profile import check_name
from mahavishnu.ai.secrets.binding import origin_of
from mahavishnu.ai.secrets.declared import DeclaredSecrets, require_present
from mahavishnu.ai.secrets.oneiric.scheme import PROVIDERS
from mahavishnu.ai.secrets.oneiric.stores import PROBE, AwsStore, CloudStore, GcpStore, Stores
from mahavishnu.ai.secrets.resolve import find_identity
from mahavishnu.base.errors import Forbidden, UsageError
from mahavishnu.base.paths import locate
from mahavishnu.base.settings.sources import Loaded, load_settings

_SECTION = "secrets.oneiric."


def cloud_stores(loaded: Loaded) -> Stores:
    """
    Return the cloud stores of the user's own settings.

    Raises:
        UsageError: `secret.store`, with the setting at fault.
        Forbidden: `secret.store_of_project`.
    """
    _require_own(loaded)
    section = loaded.settings.secrets.oneiric
    found = tuple(_stores(loaded))
    return Stores(found, tuple(_selections(section.selections, found)), section.timeout)


def own_stores(environ: Mapping[str, str]) -> Stores:
    """Return the cloud stores that the settings name now, in whatever folder this runs."""
    return cloud_stores(load_settings(environ=environ, folder=locate(environ).state))


def _require_own(loaded: Loaded) -> None:
    """
    Refuse what a project says of stores, trusted or not.

    `mahavishnu-key` and the daemon do not know which project a client works in; a store would be another one
    by who asks.
    """
    own = (str(loaded.locations.user_settings), "environment", "flag")
    for key, setting in loaded.origins.items():
        if key.startswith(_SECTION) and setting.origin not in own:
            raise Forbidden(
                f"{setting.origin} says {key}, and a project cannot name stores of keys.",
                hint=f"Move it to {loaded.locations.user_settings}.",
                code="secret.store_of_project",
            )


def _stores(loaded: Loaded) -> Iterator[CloudStore]:
    section = loaded.settings.secrets.oneiric
    for name, aws in section.aws.items():
        at = _at("aws", name)
        yield AwsStore(
            name=name,
            priority=aws.priority,
            probe=_identifier(aws.probe, "aws", at),
            region=_needed(aws.region, f"{at}.region"),
            profile_name=aws.profile_name,
            endpoint_url=_address(aws.endpoint_url, f"{at}.endpoint_url"),
            version_stage=aws.version_stage,
        )
    for name, gcp in section.gcp.items():
        at = _at("gcp", name)
        yield GcpStore(
            name=name,
            priority=gcp.priority,
            probe=_identifier(gcp.probe, "gcp", at),
            project_id=_needed(gcp.project_id, f"{at}.project_id"),
            credentials_file=_file(gcp.credentials_file, f"{at}.credentials_file", loaded.environ),
            default_version=gcp.default_version,
        )


def _selections(
    wanted: tuple[str, ...], stores: tuple[CloudStore, ...]
) -> Iterator[tuple[str, str]]:
    known = {f"{store.provider}/{store.name}" for store in stores}
    providers = [text.partition("/")[0] for text in wanted]
    if not known.issuperset(wanted) or len(set(providers)) < len(providers):
        raise _wrong(
            f"{_SECTION}selections",
            f"Each is PROVIDER/NAME, one for a provider; there are: {', '.join(sorted(known)) or 'none'}.",
        )
    for text in wanted:
        provider, _, name = text.partition("/")
        yield provider, name


def _at(provider: str, name: str) -> str:
    at = f"{_SECTION}{provider}.{name}"
    try:
        check_name(name)
    except UsageError as error:
        raise _wrong(at, "The name of a store has small letters, digits, - and _.") from error
    return at


def _needed(value: str | None, setting: str) -> str:
    if not value:
        raise _wrong(setting, "It is needed.")
    return value


def _address(url: str | None, setting: str) -> str | None:
    if url is None:
        return None
    try:
        origin_of(url)
    except UsageError as error:
        raise _wrong(setting, "Write https://HOST, or http:// for this machine.") from error
    return url


def _identifier(probe: str | None, provider: str, at: str) -> str:
    if probe is not None and not (probe and PROVIDERS[provider].issuperset(probe)):
        raise _wrong(f"{at}.probe", "It is the id of a secret.")
    return probe or PROBE


def _file(path: str | None, setting: str, environ: Mapping[str, str]) -> str | None:
    if path is None:
        return None
    place = Path(environ.get("HOME", "/"), path[2:]) if path.startswith("~/") else Path(path)
    if not place.is_absolute():
        raise _wrong(setting, "Write an absolute path, or one from ~/.")
    return str(place)


def _wrong(setting: str, hint: str) -> UsageError:
    return UsageError(
        f"{setting} is not set, or is nothing that a store can be reached by.",
        hint=hint,
        code="secret.store",
    )


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
