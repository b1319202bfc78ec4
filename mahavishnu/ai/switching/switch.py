"""
Switch clients to a profile: all is planned before the first file is written, and a failure takes it back.

A profile goes one way: `deliver` makes of it what a client is given, `plan_file` the changes to that client's
file, and `carry_out` writes those.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mahavishnu.ai.clients.port import Client
from mahavishnu.ai.clients.rights import note_of
from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.foreign_files.files import told
from mahavishnu.ai.profiles.delivery import deliver
from mahavishnu.ai.profiles.profile import Profile
from mahavishnu.ai.secrets.resolve import find_doubt, resolve
from mahavishnu.ai.switching.apply import carry_out
from mahavishnu.ai.switching.journal import History, JournalEntry
from mahavishnu.ai.switching.moving import find_move, move_key
from mahavishnu.ai.switching.plan import (
    FilePlan,
    Scope,
    SettingsPlace,
    SwitchPlan,
    Unchanged,
    check_plan,
    plan_file,
)
from mahavishnu.ai.switching.proxies import proxy_note
from mahavishnu.ai.switching.recovery import held_journal
from mahavishnu.ai.switching.routing import (
    VIA_GATEWAY,
    gateway_delivery,
    plan_route,
    require_in_gateway,
    why_not_routed,
)
from mahavishnu.ai.switching.site import Site, require_client
from mahavishnu.base.errors import UsageError
from mahavishnu.base.masking import Secret

type Via = Literal["gateway", "direct"]


@dataclass(frozen=True, kw_only=True)
class SwitchOptions:
    """
    What is wanted of a switch.

    `clients` names those to switch; none: all that the user has and that the profile fits. `write_key`
    puts the raw key into their settings. `via` takes them through the gateway, or straight to the provider; None as
    they go now. Of keys of others in them, `move_key` says where they
    go, and `forget_keys` gives them up. `overwrite` gives up what was changed by hand, and a missing key
    is no error with `allow_missing_key`.
    """

    clients: Sequence[ClientName] = ()
    scope: Scope = "user"
    write_key: bool = False
    overwrite: bool = False
    forget_keys: bool = False
    allow_missing_key: bool = False
    move_key: str | None = None
    via: Via | None = None


@dataclass(frozen=True)
class Switched:
    """What was done: `entry` is None where all clients were on the profile already."""

    plan: SwitchPlan
    entry: JournalEntry | None
    settled: tuple[str, ...] = ()


def plan_switch(site: Site, profile: Profile, ask: SwitchOptions) -> SwitchPlan:
    """
    Return what a switch would do now; files are read, and nothing is written.

    Raises:
        MahavishnuError: whatever would stop the switch before its first write, but for conflicts and
            keys in plain text that are not to be moved, which the plan tells.
    """
    plan = _plan(site, profile, ask, site.journal.read(), dry=True)
    if ask.move_key is not None:
        find_move(site, plan, ask.move_key)
    return plan


def _plan(
    site: Site, profile: Profile, ask: SwitchOptions, history: History, *, dry: bool = False
) -> SwitchPlan:
    """Return what a switch would do, but for the key that it moves; raises as `plan_switch`."""
    if ask.write_key and ask.move_key is not None:
        raise UsageError(
            "A switch moves a key out of the settings, or writes one into them.",
            hint="Leave out --write-key, or --move-key.",
            code="ai.key_both_ways",
        )
    if ask.write_key and ask.scope == "project":
        raise UsageError(
            "A raw key does not go into a project's folder, from where it is soon in a repository.",
            hint="Leave out --write-key, or --scope project.",
            code="ai.key_in_project",
        )
    if ask.via == VIA_GATEWAY and (ask.write_key or ask.scope == "project"):
        raise UsageError(
            "What goes through the gateway has no key written, and no project's settings.",
            hint="Leave out --via gateway, or --write-key and --scope project.",
            code="ai.gateway_option",
        )
    names, unchanged = _choose(site, profile, ask, history)
    key, notes = require_key(site, profile, ask)
    files: list[FilePlan] = []
    for name in names:
        place = site.place(name, ask.scope, history)
        routed = _goes_by_gateway(place, profile, ask)
        if routed:
            require_in_gateway(site, profile)
            delivery = gateway_delivery(site, profile, place.client, dry=dry)
            route = plan_route(site, profile, name, history, delivery)
            files.append(route)
        else:
            delivery = deliver(profile, place.client, helper=site.helper, key=key)
        with told(place.path):
            file = plan_file(place, site.open(place.client, place.path).read(), delivery)
        files.append(replace(file, via=VIA_GATEWAY if routed else ""))
        notes += _notes(site, files[-1], ask)
    if any(each.via for each in files) and profile.key is not None and profile.key.variable:
        notes.append(
            f"The gateway looks for the key in {profile.key.variable} as it was when it was started."
        )
    return SwitchPlan(profile, ask.scope, tuple(files), unchanged, tuple(notes))


def _goes_by_gateway(place: SettingsPlace, profile: Profile, ask: SwitchOptions) -> bool:
    """Tell whether a client is to go through the gateway: as it is asked, else as it does now."""
    if ask.via is not None or ask.scope == "project":
        return ask.via == VIA_GATEWAY
    joined = place.memory.via == VIA_GATEWAY and not ask.write_key
    return joined and why_not_routed(profile, place.client) is None


def _notes(site: Site, file: FilePlan, ask: SwitchOptions) -> list[str]:
    """Return what the user should know of one client's settings."""
    place, delivery, client = file.place, file.delivery, file.place.client
    if file.via and not file.changed:
        return [
            f"The next request of every session of {client.title} takes the new route; none has to be restarted."
        ]
    notes = client.notes(delivery, running=place.running)
    if place.memory.via and not file.via and place.project is False:
        notes.append(
            f"{client.title} no longer goes through the gateway; sessions that still do keep its last route."
        )
    if file.changed:
        modes = place.open_modes(site.environ)
        moves = ask.move_key is not None and bool(file.plain_keys)
        notes += note_of(place.path, modes, private=moves)
    asks = delivery.mode == "helper"
    notes += proxy_note(site, file.name, delivery.url, asks=asks, scope=ask.scope)
    if delivery.mode == "written":
        what = "gateway's token" if file.via else "key"
        notes.append(f"The {what} is in {place.path}, which you alone can read (mode 0600).")
    return notes


def switch(site: Site, profile: Profile, ask: SwitchOptions) -> Switched:
    """
    Switch, all clients or none.

    Raises:
        MahavishnuError: as `plan_switch`, `check_plan` and `SettingsFile.edit`; what was written by
            then was taken back.
    """
    with held_journal(site) as settled:
        plan = _plan(site, profile, ask, settled.history)
        settled.require([str(file.place.path) for file in plan.files])
        keeps = ask.forget_keys or ask.move_key is not None
        check_plan(plan, overwrite=ask.overwrite, forget_keys=keeps)
        moved = None if ask.move_key is None else move_key(site, plan, ask.move_key)
        if moved is not None:
            note = (
                f"The key that stood in plain text is at {moved} and nowhere else in these settings; undo brings"
                " it back from there."
            )
            plan = replace(plan, notes=(*plan.notes, note))
        return Switched(plan, carry_out(site, plan, moved=moved), settled.told)


def why_not(profile: Profile, client: Client, scope: Scope, via: Via | None = None) -> str | None:
    """Return why a client cannot be given the profile; None where it can."""
    name, title = client.name, client.title
    if via == VIA_GATEWAY and (reason := why_not_routed(profile, client)) is not None:
        return reason
    if scope == "project" and client.project_file is None:
        return f"{title} takes no provider from a project"
    if profile.clients is not None and name not in profile.clients:
        return f"the profile is not for {title}"
    if profile.protocol_for(name) is None and via != VIA_GATEWAY:
        if profile.auth == "native":
            return f"the profile is the sign-in of another client than {title}"
        return f"{title} {client.unspoken}"
    if client.needs_model and profile.model is None:
        return f"the profile names no model, which {title} needs"
    return None


def _choose(
    site: Site, profile: Profile, ask: SwitchOptions, history: History
) -> tuple[list[ClientName], tuple[Unchanged, ...]]:
    """Return the clients to switch, and the others with the reason."""

    def find_reason(client: Client) -> str | None:
        via = ask.via
        if via is None and ask.scope == "user":
            place = site.place(client.name, ask.scope, history)
            via = VIA_GATEWAY if _goes_by_gateway(place, profile, ask) else None
        return why_not(profile, client, ask.scope, via)

    if ask.clients:
        for name in ask.clients:
            require_client(site, name)
            reason = find_reason(CLIENTS[name])
            if reason is not None:
                raise UsageError(
                    f"{profile.name} cannot be given to {CLIENTS[name].title}: {reason}.",
                    hint="See which profiles there are: mahavishnu ai list-llms",
                    code="ai.unsuitable_profile",
                )
        left = [name for name in CLIENTS if name not in ask.clients]
        return list(dict.fromkeys(ask.clients)), tuple(
            Unchanged(name, "it was not asked for") for name in left
        )
    chosen, unchanged = [], []
    for name, client in CLIENTS.items():
        if not site.settings_of(name).enabled:
            unchanged.append(Unchanged(name, "it is switched off in the settings"))
        elif not site.has(name):
            unchanged.append(Unchanged(name, f"{client.title} is not installed"))
        elif (reason := find_reason(client)) is not None:
            unchanged.append(Unchanged(name, reason))
        else:
            chosen.append(name)
    if not chosen:
        told_why = "; ".join(f"{each.client}: {each.reason}" for each in unchanged)
        raise UsageError(
            f"No client can be switched to {profile.name}. {told_why}.",
            hint="See which profiles and clients there are: mahavishnu ai list-llms",
            code="ai.no_client",
        )
    return chosen, tuple(unchanged)


def require_key(
    site: Site, profile: Profile, ask: SwitchOptions
) -> tuple[Secret | None, list[str]]:
    """
    Return the key where it is to be written, and notes; refuse where it is known to be missing.

    Nobody is asked for a passphrase: of a file that does not open without one, a note says so.
    """
    if profile.auth == "native" or profile.key is None:
        return None, []
    if ask.write_key:
        key = resolve(profile.key, environ=site.environ, identity=site.identity, stores=site.stores)
        return key, []
    if ask.allow_missing_key:
        return None, []
    doubt = find_doubt(
        profile.key, environ=site.environ, identity=site.identity, stores=site.stores
    )
    if doubt is None:
        return None, []
    return None, [
        f"Whether there is a key at {profile.key} is not known: {doubt.message}"
        f" To see: mahavishnu ai verify {profile.name}"
    ]
