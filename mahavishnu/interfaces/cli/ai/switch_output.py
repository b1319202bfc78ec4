"""What a switch did, or would do, for people; keys never."""

from collections.abc import Iterable

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.ai.switching.switch import SwitchOptions
from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.ai.switch_messages import print_members, show_path
from mahavishnu.interfaces.cli.render import print_line
from mahavishnu.operations.ai.results import SwitchResult, Written

_MODES = {
    "native": "its own sign-in",
    "helper": "key by command",
    "environment": "key by variable",
    "written": "key written",
    "keyless": "no key",
}
_NOTHING_MORE = SwitchOptions()


def print_plan(plan: Written, ask: SwitchOptions = _NOTHING_MORE) -> None:
    """Print what a switch would do; of what it would refuse, `ask` says what the user asked for."""
    for file in plan.clients:
        print_line(f"{file.path} ({_MODES[file.mode]})")
        print_members(file.members)
        if not file.changed:
            print_line("  nothing would change")
        for path in file.plain_keys:
            alone = CLIENTS[file.client].is_secret(tuple(path))
            print_line(
                f"  {show_path(path)} holds a key in plain text: {_key_answer(ask, alone=alone)}"
            )
        answer = "given up by --overwrite" if ask.overwrite else "refused without --overwrite"
        for path in file.conflicts:
            print_line(f"  {show_path(path)} was changed by hand: {answer}")
    _print_rest(plan)


def _key_answer(ask: SwitchOptions, *, alone: bool) -> str:
    """Return what becomes of a key in plain text; one that does not stand `alone` cannot be moved."""
    if ask.move_key is not None and alone:
        return f"taken out by --move-key {ask.move_key}"
    if ask.forget_keys and ask.move_key is None:
        return "given up by --forget-keys"
    return f"refused without {'--move-key or ' if alone else ''}--forget-keys"


def print_switch(done: Written, lines: Iterable[str] = ()) -> None:
    """Print what a switch did; `lines` are about the sessions that it did not reach."""
    for text in done.settled if isinstance(done, SwitchResult) else ():
        print_line(text)
    for file in done.clients:
        what = ", ".join(filter(None, (file.url, file.model, _MODES[file.mode])))
        already = "" if file.changed else " already"
        if file.route:
            what = f"through the gateway, {what}"
            what += f"; if it fails, {', '.join(file.route[1:])}" * (len(file.route) > 1)
        print_line(f"{CLIENTS[file.client].title} uses {done.profile}{already}: {what}")
    _print_rest(done)
    for line in lines:
        print_line(line)
    if done.id is not None:
        for path in done.lost:
            print_line(f"The key at {path} was given up; undo cannot bring it back.")
        print_line(f"To take it back: mahavishnu ai undo {shown(done.id)}")
    tried = isinstance(done, SwitchResult) and done.trials is not None
    if not tried and not is_native(done):
        print_line(f"To see whether its provider answers: mahavishnu ai verify {done.profile}")


def is_native(done: Written) -> bool:
    """Tell whether clients were switched to their own sign-in, which cannot be tried."""
    return all(each.mode == "native" for each in done.clients)


def _print_rest(plan: Written) -> None:
    for each in plan.unchanged:
        print_line(f"{CLIENTS[each.client].title} is unchanged: {each.reason}.")
    for note in plan.notes:
        print_line(f"Note: {note}")
