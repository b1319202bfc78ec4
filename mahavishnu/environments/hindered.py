"""What to do where the settings of one client prevent a switch of all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from mahavishnu.ai_env.apply import Ask, plan_switch
from mahavishnu.ai_env.clients.table import CLIENTS
from mahavishnu.ai_env.plan import check_plan
from mahavishnu.ai_env.profiles import Profile
from mahavishnu.ai_env.site import Site
from mahavishnu.errors import MahavishnuError


@contextmanager
def naming_others(site: Site, profile: Profile, ask: Ask) -> Iterator[None]:
    """
    Name, in the hint of what stops a switch of all clients, those that could be switched alone.

    A switch is whole or nothing, so one client's settings keep all from it. An error of writing stays as it
    is: then no client is known to be better off alone.
    """
    try:
        yield
    except MahavishnuError as error:
        if ask.clients or error.code.startswith("secret.") or _can(site, profile, ask):
            raise
        free = [name for name in CLIENTS if _can(site, profile, replace(ask, clients=(name,)))]
        if not free:
            raise
        words = " ".join(f"--client {name}" for name in free)
        hint = f"{error.hint or ''} The others can be switched alone: {words}".lstrip()
        raise type(error)(error.message, hint=hint, code=error.code) from error


def _can(site: Site, profile: Profile, ask: Ask) -> bool:
    try:
        # Keys were there, and are not asked for again: a keyring or GPG may ask the user each time.
        quiet = replace(ask, write_key=False, allow_missing_key=True, move_key=None)
        plan = plan_switch(site, profile, quiet)
        check_plan(
            plan, overwrite=ask.overwrite, forget_keys=ask.forget_keys or ask.move_key is not None
        )
    except MahavishnuError:
        return False
    return True
