"""What `mahavishnu ai run` starts: a client on a profile, for one session."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from mahavishnu.ai.clients.places import search_path
from mahavishnu.ai.clients.table import ClientName
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.resolve import resolve
from mahavishnu.ai.switching.launch import Launch, plan_launch, recognise
from mahavishnu.ai.switching.site import Site
from mahavishnu.base.errors import NotFound
from mahavishnu.operations.ai.bindings import find_bound, require_free
from mahavishnu.operations.ai.profiles import find_profile
from mahavishnu.operations.ai.results import Whole
from mahavishnu.operations.ai.site import Environments
from mahavishnu.operations.ai.team_profiles import require_accepted


class LaunchBody(Whole, frozen=True, kw_only=True):
    """What would be started; `taken_out` are variables that it does not get."""

    dry_run: bool
    program: str
    words: list[str]
    taken_out: list[str]


def plan_run(
    environments: Environments, name: str | None, client: ClientName | None, words: tuple[str, ...]
) -> tuple[Profile, Launch]:
    """Return the profile, by default the one that the folder is bound to, and how `words` start on it."""
    environments.require_trusted()
    site, environ = environments.site, environments.loaded.environ
    name = _bound_name(site) if name is None else name
    require_free(site, name)
    profile = find_profile(environments.loaded, name)
    require_accepted(environments.loaded, profile)
    launch = plan_launch(
        profile,
        client or recognise(words[0]),
        words,
        environ={**environ, "PATH": search_path(environ)},
        folder=site.folder,
        helper=site.helper,
        resolve=partial(resolve, environ=environ, identity=site.identity, stores=site.stores),
    )
    return profile, _with_own_path(launch, environ)


def launch_body(launch: Launch) -> LaunchBody:
    """Return what is shown of a launch; no key is among the words."""
    return LaunchBody.like(launch, dry_run=True, program=str(launch.program))


def _bound_name(site: Site) -> str:
    row = find_bound(site)
    if row is None:
        raise NotFound(
            f"{site.folder} is not bound to a profile.",
            hint="Name one: mahavishnu ai run PROFILE -- PROGRAM; or bind it: mahavishnu ai bind PROFILE",
            code="ai.not_bound",
        )
    return row.profile


def _with_own_path(launch: Launch, environ: Mapping[str, str]) -> Launch:
    """Give the program the user's PATH as it is; only the search for it passes over what is not whole."""
    kept = {name: value for name, value in launch.environ.items() if name != "PATH"}
    own = {name: value for name, value in environ.items() if name == "PATH"}
    return replace(launch, environ=kept | own)
