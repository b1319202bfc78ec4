"""What `ai restore` prints."""

from mahavishnu.ai_env.apply import Switched
from mahavishnu.ai_env.restore import Restored
from mahavishnu.cli.ai.switch_output import plan_body, show_plan, show_switch
from mahavishnu.cli.ai.telling import UNCHANGED
from mahavishnu.cli.render import print_json, print_line


def show_restored(done: Restored, *, dry_run: bool, as_json: bool) -> None:
    """Print what was written again, or would be."""
    if as_json:
        rows = [
            {"id": None if entry is None else str(entry.id), **plan_body(plan)}
            for plan, entry in done.plans
        ]
        print_json({"dry_run": dry_run, "restored": rows, "settled": list(done.settled)})
        return
    for text in done.settled:
        print_line(text)
    for plan, entry in done.plans:
        if dry_run:
            show_plan(plan, as_json=False)
        else:
            show_switch(Switched(plan, entry), as_json=False)
    if not done.plans:
        print_line(UNCHANGED)
