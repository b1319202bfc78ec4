"""What the gateway goes by: routes, profiles and tokens, read again when their files changed; and keys, in memory."""

import asyncio
import hmac
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.routes.routes import Routes, read_routes
from mahavishnu.ai.routes.tokens import read_tokens
from mahavishnu.ai.secrets.binding import Origin, origin_of
from mahavishnu.ai.secrets.reference import Reference
from mahavishnu.base.errors import MahavishnuError
from mahavishnu.base.logs import get_logger
from mahavishnu.base.masking import Secret

_log = get_logger(__name__)


class FromFiles[T]:
    """A value that is read again after one of some files or folders changed; `otherwise` where they are damaged."""

    def __init__(
        self, paths: Callable[[], Iterable[Path]], read: Callable[[], T], otherwise: T
    ) -> None:
        self._paths = paths
        self._read = read
        self._stamp: object = None
        self._value = self._otherwise = otherwise

    def get(self) -> T:
        """Return the value of now."""
        stamp = stamp_of(self._paths())
        if stamp != self._stamp:
            try:
                self._value = self._read()
            except MahavishnuError as error:
                self._value = self._otherwise  # what was chosen is not known: nothing goes out
                _log.error("not_read_again", code=error.code, reason=error.message)
            self._stamp = stamp
        return self._value


def stamp_of(paths: Iterable[Path]) -> tuple[object, ...]:
    """Return what is another one after a file, or one of a folder, was changed, made or removed."""
    found: list[object] = []
    for path in paths:
        try:
            with os.scandir(path) as entries:
                inside = sorted((each.name, _stamp(each.stat())) for each in entries)
            found.append((str(path), inside))
        except NotADirectoryError:
            found.append((str(path), _stamp(path.stat()) if path.exists() else None))
        except OSError:
            found.append((str(path), None))
    return tuple(found)


def _stamp(about: os.stat_result) -> tuple[int, int, int]:
    return about.st_ino, about.st_mtime_ns, about.st_size


@dataclass(frozen=True)
class Sight:
    """The files of the gateway; `profiles` are read by whoever reads the settings."""

    routes: FromFiles[Routes]
    tokens: FromFiles[Mapping[str, str]]
    profiles: FromFiles[Mapping[str, Profile]]

    @classmethod
    def of(
        cls,
        routes: Path,
        tokens: Path,
        profile_files: Callable[[], Iterable[Path]],
        read_profiles: Callable[[], Mapping[str, Profile]],
    ) -> "Sight":
        """Return the sight of these files."""
        return cls(
            FromFiles(lambda: (routes,), lambda: read_routes(routes), {}),
            FromFiles(lambda: (tokens,), lambda: read_tokens(tokens), {}),
            FromFiles(profile_files, read_profiles, {}),
        )

    def client_of(self, given: str) -> str | None:
        """Return the client whose token was given, compared in constant time; None where it is nobody's."""
        found = None
        told = given.encode("utf-8", "surrogateescape")
        for token, client in self.tokens.get().items():
            if hmac.compare_digest(told, token.encode()):
                found = client
        return found


class ProfileKeys:
    """The keys of profiles, each read once; read again after the reference or the endpoint changed, or was refused."""

    def __init__(self, resolve: Callable[[Reference], Secret]) -> None:
        self._resolve = resolve
        self._known: dict[str, tuple[tuple[Reference, Origin], Secret]] = {}
        self._asking: dict[str, asyncio.Lock] = {}

    async def get(self, profile: Profile, url: str) -> Secret:
        """
        Return the key for an endpoint of a profile.

        Raises:
            MahavishnuError: as `resolve`, and as `origin_of` where the endpoint may have no key.
        """
        origin = origin_of(url)
        if profile.key is None:
            return Secret("")
        wanted = (profile.key, origin)
        async with self._asking.setdefault(profile.name, asyncio.Lock()):
            known = self._known.get(profile.name)
            if known is None or known[0] != wanted:
                known = wanted, await asyncio.to_thread(self._resolve, profile.key)
                self._known[profile.name] = known
            return known[1]

    def forget(self, profile: str) -> None:
        """Drop a key that was refused: the next request reads it again."""
        self._known.pop(profile, None)
