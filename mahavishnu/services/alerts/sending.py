"""
Send one message to one Apprise URL, in a process of its own.

Apprise takes 50 MB and a second to import, and its plugins may hang for as long as a server likes: a process can be
ended, a thread cannot.
"""

import asyncio
import contextlib
import os
import signal
import sys
from importlib.util import find_spec

import msgspec
from msgspec import Struct

from mahavishnu.base.errors import Unavailable
from mahavishnu.base.extras import not_installed
from mahavishnu.base.masking import Secret, mask_secrets

TIMEOUT_S = 30.0
_WORDS = ("-P", "-m", "mahavishnu.services.alerts.notifier")


class Letter(Struct, frozen=True):
    """What the process is given."""

    url: str
    title: str
    body: str


class Receipt(Struct, frozen=True):
    """What the process says: whether the channel took the message, else why not."""

    taken: bool
    reason: str = ""


async def send(url: Secret, title: str, body: str, *, timeout_s: float = TIMEOUT_S) -> None:
    """
    Send a message; when this returns, or is cancelled, its process is gone.

    Raises:
        Unavailable: `alerts.refused`, the channel did not take it; `alerts.timeout`; `engine.not_installed`.
    """
    if find_spec("apprise") is None:
        raise not_installed("alerts")
    letter = msgspec.json.encode(Letter(url.reveal(), title, body))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *_WORDS,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,  # what a plugin starts ends with it
    )
    try:
        async with asyncio.timeout(timeout_s):
            out, _ = await process.communicate(letter)
    except TimeoutError as error:
        raise Unavailable(
            f"The channel did not answer within {timeout_s:g} seconds.",
            hint="Try it with: mahavishnu alert test",
            code="alerts.timeout",
        ) from error
    finally:
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:  # else its number may be another's by now
                os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    receipt = _read(out)
    if not receipt.taken:
        reason = mask_secrets(without_parts(receipt.reason, url.reveal()))
        raise Unavailable(
            f"The channel did not take the message{f': {reason}' if reason else ''}.",
            hint="Check its Apprise URL, then try it with: mahavishnu alert test",
            code="alerts.refused",
        )


def without_parts(text: str, url: str) -> str:
    """Return a reason in which no part of an address stands that may be secret: all behind its scheme."""
    _, _, address = url.partition("://")
    for part in sorted({address, *_parts(address)}, key=len, reverse=True):
        text = text.replace(part, "***")
    return " ".join(text.split()).rstrip(".")


def _parts(address: str) -> list[str]:
    for mark in "/:@?&=#,":
        address = address.replace(mark, " ")
    return [part for part in address.split() if len(part) > 3]


def _read(out: bytes) -> Receipt:
    try:
        return msgspec.json.decode(out, type=Receipt)
    except msgspec.MsgspecError:
        return Receipt(taken=False)
