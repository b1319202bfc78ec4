"""What the commands of `mahavishnu ai auto` print."""

from mahavishnu.ai.clients.table import CLIENTS
from mahavishnu.interfaces.cli.render import local_time, print_line, print_table
from mahavishnu.operations.ai.auto import AutoState

_INTENTS = {
    "on": "Failover is on: where a profile fails, the next one is used.",
    "pinned": "Failover is pinned: failures are reported, and no profile is changed.",
    "off": "Failover is off.",
}


def show(body: AutoState) -> None:
    """Print how failover stands."""
    print_line(_INTENTS[body.intent])
    if not body.fallback:
        print_line("No profile follows one that fails: set ai_environments.fallback.")
    else:
        print_table(
            ("profile", "state", "cause", "until"),
            (
                (
                    each.profile,
                    each.state if each.known else "no such profile",
                    each.cause or "",
                    local_time(each.until) if each.until else "",
                )
                for each in body.fallback
            ),
        )
    for each in body.clients:
        title = CLIENTS[each.client].title
        if each.since is not None:
            print_line(
                f"{title} uses {each.profile} since {local_time(each.since)}, and returns to {each.chosen}."
            )
