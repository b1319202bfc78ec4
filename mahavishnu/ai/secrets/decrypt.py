"""
Decrypt by `gpg`, or by `age` or `rage`, as a child process: bounded in time and in what it gives.

The sealed bytes go in by a pipe and the text comes out by one: neither is in an argument or a file.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from mahavishnu.base.errors import Corrupt, Forbidden, Unavailable

type FileEncryption = Literal["gpg", "age"]
MAX_TEXT_BYTES = 1024 * 1024
PROGRAMS: dict[FileEncryption, tuple[str, ...]] = {"gpg": ("gpg",), "age": ("age", "rage")}
# What the programs may see of the environment: what a prompt for a passphrase needs, and no key.
_HANDED_ON = (
    "HOME", "PATH", "LANG", "LC_ALL", "LC_CTYPE", "TERM", "USER", "LOGNAME", "TMPDIR", "GNUPGHOME", "GPG_TTY",
    "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH",
)  # fmt: skip


def decrypt(
    kind: FileEncryption,
    sealed: bytes,
    *,
    environ: Mapping[str, str],
    identity: Path,
    timeout_s: float,
    asking: bool = True,
) -> str:
    """
    Return the text inside `sealed`; without `asking`, gpg's agent asks nobody for a passphrase.

    Raises:
        Unavailable: `secret.no_program`, `secret.timeout`.
        Forbidden: `secret.not_decrypted`.
        Corrupt: `secret.malformed`, what is inside is no text.
    """
    program = find_program(PROGRAMS[kind], environ)
    words = (
        _gpg(program, asking=asking)
        if kind == "gpg"
        else [program, "--decrypt", "--identity", str(identity)]
    )
    status, text, said = _run(words, sealed, environ, timeout_s)
    # A message that was only signed or packed opens too, and was readable to everyone all along.
    opened = status == 0 and (kind == "age" or b"[GNUPG:] DECRYPTION_OKAY" in said)
    if not opened:
        raise Forbidden(
            f"{kind} cannot decrypt the file of keys{_reason(said)}.",
            hint="See whether this works in a terminal: gpg --decrypt FILE"
            if kind == "gpg"
            else f"It needs the identity that the file was encrypted to: {identity}",
            code="secret.not_decrypted",
        )
    with contextlib.suppress(UnicodeDecodeError):  # which would hold the text
        return text.decode("utf-8")
    raise Corrupt(
        "The decrypted file of keys is not text.",
        hint="Write lines NAME=value, or one key.",
        code="secret.malformed",
    )


def find_program(names: Sequence[str], environ: Mapping[str, str]) -> str:
    """Return the path of the first that is installed; relative folders of PATH do not count."""
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    trusted = os.pathsep.join(each for each in folders if each.startswith("/"))
    for name in names:
        if found := shutil.which(name, path=trusted):
            return found
    raise Unavailable(
        f"The program {' or '.join(names)}, which decrypts this file, is not installed.",
        hint="Install it, or use env: or keyring: instead.",
        code="secret.no_program",
    )


def _gpg(program: str, *, asking: bool = True) -> list[str]:
    unasked = [] if asking else ["--pinentry-mode", "error"]
    return [
        program, *unasked, "--batch", "--quiet", "--no-tty", "--status-fd", "2", "--disable-dirmngr",
        "--no-auto-key-retrieve", "--max-output", str(MAX_TEXT_BYTES), "--decrypt",
    ]  # fmt: skip


def _run(
    words: Sequence[str], sealed: bytes, environ: Mapping[str, str], timeout_s: float
) -> tuple[int, bytes, bytes]:
    """Run to the end, or to the end of the time, in a session of its own that holds no terminal."""
    handed_on = {name: environ[name] for name in _HANDED_ON if name in environ}
    with subprocess.Popen(
        words, env=handed_on, cwd="/", start_new_session=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            text, said = process.communicate(sealed, timeout=timeout_s)
        except subprocess.TimeoutExpired:
            timed_out = True
        else:
            timed_out = False
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if timed_out:  # out here: the exception holds what came so far
        raise Unavailable(
            f"{Path(words[0]).name} did not decrypt the file of keys within {timeout_s:g} seconds.",
            hint="It may wait for a passphrase. Unlock the key, and try again.",
            code="secret.timeout",
        )
    return process.returncode, text, said


def _reason(said: bytes) -> str:
    """Return what is known of why, from gpg's lines for programs; the rest is not passed on."""
    if b"[GNUPG:] NO_SECKEY" in said:
        return ": you do not have the key that it was encrypted to"
    if b"[GNUPG:] PINENTRY_LAUNCHED" in said or b"No pinentry" in said:
        return ": its key is locked"
    return ""
