"""
The process that hands one message to Apprise: reads a `Letter` from stdin, writes a `Receipt` to stdout.

It ends by itself where whoever started it was killed.
"""

import os
import signal
import sys

import msgspec
from apprise import Apprise, LogCapture, logging

from mahavishnu.services.alerts.sending import TIMEOUT_S, Letter, Receipt


def main() -> None:
    """Send the message."""
    signal.alarm(round(TIMEOUT_S) + 5)
    letter = msgspec.json.decode(sys.stdin.buffer.read(), type=Letter)
    # A plugin that prints must not garble the answer.
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    answer.write(msgspec.json.encode(notify(letter)))
    answer.close()


def notify(letter: Letter) -> Receipt:
    """Hand a message to Apprise."""
    with LogCapture(level=logging.WARNING, fmt="%(message)s") as said:
        channel = Apprise()
        taken = channel.add(letter.url) and channel.notify(title=letter.title, body=letter.body)
        return Receipt(bool(taken), "" if taken else said.getvalue())


if __name__ == "__main__":
    main()
