"""The units of the settings: built-in ones, the user's, and those that commands write into files of ours."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import structs

from mahavishnu.ai.clients.table import PACKAGES, facts_of
from mahavishnu.ai.secrets.key_shapes import find_keys
from mahavishnu.ai.secrets.reference import is_name, parse_reference
from mahavishnu.ai.secrets.resolve import find_identity, resolve
from mahavishnu.ai.secrets.showing import is_secret
from mahavishnu.ai.secrets.table import SCHEMES
from mahavishnu.base.daemon.record import translated_files
from mahavishnu.base.errors import Conflict, Corrupt, Forbidden, UsageError
from mahavishnu.base.files import write_atomically
from mahavishnu.base.paths import Locations, expanded, private_folder
from mahavishnu.base.settings.files import read_settings
from mahavishnu.base.settings.services import ServiceSettings
from mahavishnu.base.settings.sources import Loaded, load_settings
from mahavishnu.embedding.addresses import resolve_ollama_url
from mahavishnu.operations.ai.gateway_unit import find_gateway
from mahavishnu.operations.ai.secret_settings import own_stores
from mahavishnu.services.backends.chosen import ChosenBackend, find_others
from mahavishnu.services.session_buddy.unit import session_buddy_unit
from mahavishnu.services.supervision.own_backend import OwnBackend, UnitEnvironment
from mahavishnu.services.units.order import find_unit
from mahavishnu.services.units.unit import HealthCheck, Unit, check_name

SESSION_BUDDY, AGENTDB, OLLAMA, GATEWAY = "session-buddy", "agentdb", "ollama", "gateway"
DAEMON, POSTGRESQL, ALL = "daemon", "postgresql", "all"
SESSIONS = {facts_of(client).program: client for client in PACKAGES}
# What is no unit that is started; the last is all of them.
RESERVED_NAMES = frozenset({DAEMON, POSTGRESQL, SESSION_BUDDY, ALL, *SESSIONS})
# What a unit sees of the daemon's environment, which may hold keys.
PASSED_ON = ("HOME", "PATH", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
             "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME")  # fmt: skip
SECTION = "services."


def read_again(loaded: Loaded) -> Loaded:
    """Return the user's own settings of now, for a process that lives long; what `--set` said goes on."""
    flags = {key: each.value for key, each in loaded.origins.items() if each.origin == "flag"}
    return load_settings(environ=loaded.environ, folder=loaded.locations.state, flags=flags)


def read_units(loaded: Loaded) -> dict[str, Unit]:
    """
    Return all units by name.

    Raises:
        UsageError: `service.name`, `service.environment`, `service.plain_key`, `service.health`.
        Forbidden: `service.of_project`.
        Corrupt: `service.file`.
    """
    _require_own(loaded)
    said = {name: _read_file(path) for name, path in _find_files(loaded.locations).items()}
    said |= loaded.settings.services
    for name in said:
        if check_name(name) in RESERVED_NAMES:
            raise UsageError(
                f"A service cannot be called {name}.",
                hint="Session-Buddy has settings of its own: session_buddy.command"
                if name == SESSION_BUDDY
                else "Choose another name.",
                code="service.name",
            )
    units = {
        SESSION_BUDDY: find_session_buddy(loaded),
        AGENTDB: Unit(name=AGENTDB, command=()),
        OLLAMA: _find_ollama(loaded),
        GATEWAY: find_gateway(loaded),
    }
    for name, each in said.items():
        units[name] = _unit_of(name, each, units.get(name))
    return units


def find_session_buddy(loaded: Loaded) -> Unit:
    """Return the unit of Session-Buddy; it has no command where the settings give neither that nor a Python."""
    said = loaded.settings.session_buddy
    if said.python is None:
        return _unit_of(SESSION_BUDDY, said, None)
    data_dir = said.data_dir and expanded(said.data_dir)
    unit = session_buddy_unit(
        str(expanded(said.python)),
        home=loaded.locations.data / SESSION_BUDDY,
        port=said.port,
        data_dir=data_dir or None,
        in_place=said.in_place,
    )
    return _unit_of(SESSION_BUDDY, said, unit)


def open_backend(loaded: Loaded) -> OwnBackend:
    """Return the daemon's own backend, which knows those of the system."""
    folder, config = loaded.locations.state / "services", loaded.settings.supervisord.config
    return ChosenBackend(
        folder,
        lambda unit: find_environment(loaded, unit),
        others=find_others((config and expanded(config)) or None, loaded.environ, folder / "logs"),
        read_named=lambda: {name: unit.backend for name, unit in read_units(loaded).items()},
    )


def base_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what every unit and every check sees."""
    return {name: environ[name] for name in PASSED_ON if name in environ}


def find_environment(loaded: Loaded, unit: Unit) -> UnitEnvironment:
    """Return the variables of a unit, with the keys that references lead to; raises as `resolve`."""
    environ = loaded.environ
    variables, secrets = base_environment(environ), []
    for name, value in map(_split, unit.environment):
        if _is_reference(value):
            found = resolve(
                parse_reference(value),
                environ=environ,
                identity=find_identity(environ, loaded.locations),
                stores=lambda: own_stores(environ),
                asking=False,
            ).reveal()
            variables[name] = found
            secrets.append(found)
        else:
            variables[name] = value
    return UnitEnvironment(variables, tuple(secrets))


def add_unit(loaded: Loaded, name: str, said: ServiceSettings) -> Path:
    """Write a service that there is not yet into a file of ours; raises `Conflict` (`service.exists`)."""
    path = _path_of(loaded.locations, name)
    units = read_units(loaded)
    if name in RESERVED_NAMES or (name in units and units[name].command):
        raise Conflict(
            f"There is a service {name} already.",
            hint=f"Remove it first: mahavishnu service remove {name}",
            code="service.exists",
        )
    _unit_of(name, said, units.get(name))
    _write(path, said)
    return path


def remove_unit(loaded: Loaded, name: str) -> Path:
    """Remove the file of a service; raises `Conflict` (`service.in_settings`) where it is not in one."""
    path = _path_of(loaded.locations, name)
    if not path.exists():
        find_unit(read_units(loaded), name)
        raise _in_settings(loaded, name)
    with translated_files(path.parent):
        path.unlink()
    return path


def enable_unit(loaded: Loaded, name: str, *, enabled: bool) -> Path:
    """Say in a file of ours whether a service starts with the daemon; raises as `remove_unit`."""
    path = _path_of(loaded.locations, name)
    find_unit(read_units(loaded), name)
    if name in loaded.settings.services or name in RESERVED_NAMES:
        raise _in_settings(loaded, name)
    said = _read_file(path) if path.exists() else ServiceSettings()
    _write(path, structs.replace(said, enabled=enabled))
    return path


def _unit_of(name: str, said: ServiceSettings, base: Unit | None) -> Unit:
    """Return the unit that settings describe; of a built-in one they change what they say."""
    check = said.health
    asked = (*check.command, check.http or "", check.mcp or "", check.sql or "")
    text = " ".join((*said.command, *said.stop_command, *asked))
    if find_keys(text) or any(
        is_secret(*each) for each in map(_split, said.environment) if not _is_reference(each[1])
    ):
        raise UsageError(
            f"The service {name} seems to have a key in plain text.",
            hint=f"Refer to it in services.{name}.environment, for example: API_KEY=keyring:{name}/api-key",
            code="service.plain_key",
        )
    for variable, value in map(_split, said.environment):
        if not is_name(variable):
            raise UsageError(
                f"The environment of the service {name} has what is no NAME=VALUE.",
                hint="For example: API_KEY=env:MY_API_KEY",
                code="service.environment",
            )
        if _is_reference(value):
            parse_reference(value)
    units = {"grace": "grace_s", "start_timeout": "start_timeout_s"}
    values: dict[str, Any] = {
        units.get(each, each): getattr(said, each)
        for each in ServiceSettings.__struct_fields__
        if each != "health"
    }
    health = _health_of(name, said)
    if base is None:
        return Unit(name=name, **values, health=health)
    default = ServiceSettings()
    changed = {
        key: value
        for key, value in values.items()
        if value != getattr(default, {v: k for k, v in units.items()}.get(key, key))
        or key == "enabled"
    }
    return structs.replace(base, **changed, health=health or base.health)


def _health_of(name: str, said: ServiceSettings) -> HealthCheck | None:
    health = said.health
    ways = [w for w in (health.http, health.tcp, health.mcp, health.command, health.sql) if w]
    port = (health.tcp or ":1").rpartition(":")[2]
    if len(ways) > 1 or not port.isdigit() or not 0 < int(port) < 65_536:
        raise UsageError(
            f"The health check of the service {name} is not one of http, tcp, mcp, command and sql.",
            hint="Give exactly one; tcp is HOST:PORT, for example 127.0.0.1:8080",
            code="service.health",
        )
    if not ways:
        return None
    return HealthCheck(
        http=health.http,
        tcp=health.tcp,
        mcp=health.mcp,
        command=health.command,
        sql=health.sql,
        interval_s=health.interval,
        timeout_s=health.timeout,
        unhealthy_after=health.unhealthy_after,
        healthy_after=health.healthy_after,
    )


def _find_ollama(loaded: Loaded) -> Unit:
    """Return `ollama serve`, where the program is here and the settings mean this machine."""
    url = resolve_ollama_url(loaded.settings.embedding.ollama_base_url, loaded.environ)
    check = HealthCheck(http=f"{url.rstrip('/')}/api/version")
    unit = Unit(name=OLLAMA, command=(), health=check, enabled=False, shared=True)
    here = shutil.which(OLLAMA, path=loaded.environ.get("PATH", os.defpath))
    if here is None or unit.port is None:
        return unit
    address = f"OLLAMA_HOST=127.0.0.1:{unit.port}"
    return structs.replace(unit, command=(here, "serve"), environment=(address,))


def _split(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    return name, value


def _is_reference(value: str) -> bool:
    return value.startswith("${") or value.partition(":")[0] in SCHEMES


def _require_own(loaded: Loaded) -> None:
    """Refuse services of a project, trusted or not: the daemon serves all folders, and would run its commands."""
    own = (str(loaded.locations.user_settings), "environment", "flag")
    for key, setting in loaded.origins.items():
        if key.startswith((SECTION, "session_buddy.")) and setting.origin not in own:
            raise Forbidden(
                f"{setting.origin} says {key}, and a project cannot name services.",
                hint=f"Move it to {loaded.locations.user_settings}.",
                code="service.of_project",
            )


def _find_files(locations: Locations) -> dict[str, Path]:
    folder = locations.config / "services"
    return {path.stem: path for path in sorted(folder.glob("[!.]*.yaml"))}


def _path_of(locations: Locations, name: str) -> Path:
    return locations.config / "services" / f"{check_name(name)}.yaml"


def _read_file(path: Path) -> ServiceSettings:
    tree: dict[str, Any] = {}
    for key, value in read_settings(path).items():
        section, _, last = key.rpartition(".")
        (tree.setdefault(section, {}) if section else tree)[last] = value
    try:
        return msgspec.convert(tree, ServiceSettings, strict=False)
    except msgspec.ValidationError as error:
        raise Corrupt(
            f"{path} is no description of a service.",
            hint="Correct it, or remove it and add the service again.",
            code="service.file",
        ) from error


def _write(path: Path, said: ServiceSettings) -> None:
    default = msgspec.to_builtins(ServiceSettings())
    values = {k: v for k, v in msgspec.to_builtins(said).items() if v != default[k]}
    if "health" in values:
        health = values["health"].items()
        values["health"] = {k: v for k, v in health if v != default["health"][k]}
    values["enabled"] = said.enabled
    with translated_files(path.parent):
        private_folder(path.parent)
        write_atomically(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True).encode())


def _in_settings(loaded: Loaded, name: str) -> Conflict:
    key = "session_buddy" if name == SESSION_BUDDY else f"services.{name}"
    return Conflict(
        f"The service {name} is not one that commands have written.",
        hint=f"Change {key} in {loaded.locations.user_settings}.",
        code="service.in_settings",
    )
