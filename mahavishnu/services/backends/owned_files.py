"""
Files that a supervisor of the system reads, and that are ours as long as nobody changed them.

A line of each says so, with a digest of the others: what was edited, or comes from elsewhere, is neither replaced nor
removed.
"""

import hashlib
import re
from pathlib import Path

from mahavishnu.base.errors import Conflict
from mahavishnu.base.files import write_atomically
from mahavishnu.base.paths import private_folder

_SAYS = "Written by Mahavishnu, which replaces and removes it as long as nobody edits it"
_SEAL = re.compile(rf"^[^\n]*{_SAYS}: ([0-9a-f]{{64}})[^\n]*\n", re.MULTILINE)


def sealed(text: str) -> str:
    """Return a text with the line that makes it ours: a comment of INI files, or of XML below its declaration."""
    digest = hashlib.sha256(text.encode()).hexdigest()
    if text.startswith("<?xml"):
        declaration, _, rest = text.partition("\n")
        return f"{declaration}\n<!-- {_SAYS}: {digest} -->\n{rest}"
    return f"# {_SAYS}: {digest}\n{text}"


def is_ours(text: str) -> bool:
    """Tell whether a text is one of `sealed`, unchanged."""
    found = _SEAL.search(text)
    if found is None:
        return False
    rest = text[: found.start()] + text[found.end() :]
    return hashlib.sha256(rest.encode()).hexdigest() == found[1]


def place(path: Path, text: str) -> bool:
    """Write a sealed text, and tell whether it was not there; raises `Conflict` (`service.foreign_file`)."""
    if _read_ours(path) == text:
        return False
    private_folder(path.parent)
    write_atomically(path, text.encode())
    return True


def remove(path: Path) -> bool:
    """Remove a file of ours, and tell whether it was there; raises `Conflict` (`service.foreign_file`)."""
    if _read_ours(path) is None:
        return False
    path.unlink()
    return True


def require_ours(path: Path) -> bool:
    """Tell whether a file of ours is there; raises `Conflict` (`service.foreign_file`) where another is."""
    return _read_ours(path) is not None


def _read_ours(path: Path) -> str | None:
    if path.is_symlink():
        raise _foreign(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise _foreign(path) from error
    if not is_ours(text):
        raise _foreign(path)
    return text


def _foreign(path: Path) -> Conflict:
    return Conflict(
        f"{path} is not as Mahavishnu wrote it.",
        hint="Keep your changes elsewhere, and move that file away.",
        code="service.foreign_file",
    )
