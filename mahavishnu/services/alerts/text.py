"""How a message reads."""

import socket
from collections import Counter
from collections.abc import Iterator

from mahavishnu.base.masking import mask_secrets
from mahavishnu.services.alerts.ledger import Alert, Message

TEST_TITLE = "Mahavishnu: a test"
TEST_BODY = "Alerts of Mahavishnu on {host} arrive here."


def host() -> str:
    """Return the name of this machine."""
    return socket.gethostname()


def compose(message: Message) -> tuple[str, str]:
    """Return title and text of a message, without secrets."""
    if len(message.alerts) == 1 and not message.more:
        [alert] = message.alerts
        told = f"{alert.what} {_verb(alert)}"
    else:
        counts = Counter(_verb(each) for each in message.alerts)
        told = ", ".join(f"{count} {verb}" for verb, count in counts.items())
    return f"Mahavishnu on {host()}: {mask_secrets(told)}", "\n".join(_lines(message))


def _lines(message: Message) -> Iterator[str]:
    for each in message.alerts:
        code = f" [{each.code}]" if each.code else ""
        moment = each.at.astimezone().isoformat(" ", "seconds")
        yield mask_secrets(f"{moment}  {each.what} {_verb(each)}{code}: {each.text}")
    if message.more:
        yield f"{message.more:,} more were held back."
    if message.repeated:
        yield f"{message.repeated:,} repetitions were not told."
    yield "See: mahavishnu events"


def _verb(alert: Alert) -> str:
    return {"failed": "failed", "recovered": "works again"}.get(alert.kind, alert.kind)
