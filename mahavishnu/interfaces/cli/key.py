"""
`mahavishnu-key`: print one key for a client that asks a command for it, and nothing else.

A client waits for it at its start, so that for `env:` it imports the standard library alone.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mahavishnu.ai.bindings.release import release
from mahavishnu.ai.clients.key_command import read_words, usage
from mahavishnu.base.errors import MahavishnuError

if TYPE_CHECKING:
    from mahavishnu.ai.secrets.oneiric.stores import Stores

EXIT_INTERRUPTED = 130


def main() -> int:
    """Print the key and a line's end on stdout; what goes wrong is one line on stderr."""
    words = sys.argv[1:]
    if words in (["--help"], ["-h"]):
        sys.stdout.write(f"Usage: {usage()}\n")
        return 0
    if words == ["--version"]:
        from mahavishnu import __version__  # noqa: PLC0415 - cold path

        sys.stdout.write(f"mahavishnu-key {__version__}\n")
        return 0
    try:
        key = release(read_words(words), os.environ, folder=Path.cwd(), stores=_stores)
        sys.stdout.write(f"{key.reveal()}\n")
        sys.stdout.flush()
    except MahavishnuError as error:
        hint = f" {error.hint}" if error.hint else ""
        _say(f"{error.message}{hint} [{error.code}]")
        return error.exit_code
    except OSError as error:  # the client went away
        _say(f"The key could not be handed over ({error.strerror}). [output.failed]")
        sys.stdout = None  # nothing is left to flush at the end
        return MahavishnuError.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return 0


def _stores() -> "Stores":
    """Return the cloud stores of the user's settings; those of a project cannot name any."""
    from mahavishnu.operations.ai.secret_settings import own_stores  # noqa: PLC0415 - slow

    return own_stores(os.environ)


def _say(text: str) -> None:
    shown = "".join(sign if sign.isprintable() else "?" for sign in text)
    sys.stderr.write(f"mahavishnu-key: {shown}\n")
