"""The desktop app of Claude on macOS, which reads what it is configured with only when it starts. Not run here."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from mahavishnu.base.errors import Unavailable, UsageError

QUIT = ("osascript", "-e", 'tell application "Claude" to quit')
ASK = ("osascript", "-e", 'application "Claude" is running')
OPEN = ("open", "-a", "Claude")
_ANSWER_S = 15.0
_QUIT_S = 30.0
_PAUSE_S = 0.2

type RunProgram = Callable[[Sequence[str]], str]


def restart_app(
    run: RunProgram | None = None,
    *,
    platform: str = sys.platform,
    pause: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> bool:
    """
    Have the app quit as its own menu would, wait until it has, and open it again; False where it does not run.

    Raises:
        UsageError: `ai.no_desktop_app`, on another system.
        Unavailable: `ai.app_stays`: it asks its user something, for instance.
    """
    require_macos(platform)
    say = run or _run
    if say(ASK) != "true":
        return False
    say(QUIT)
    end = clock() + _QUIT_S
    while say(ASK) == "true":
        if clock() > end:
            raise Unavailable(
                "The desktop app of Claude was asked to quit, and did not.",
                hint="Look whether it asks you something.",
                code="ai.app_stays",
            )
        pause(_PAUSE_S)
    say(OPEN)
    return True


def require_macos(platform: str = sys.platform) -> None:
    """Refuse on another system; raises as `restart_app`."""
    if platform != "darwin":
        raise UsageError(
            "The desktop app can be restarted only on macOS.",
            hint="Leave out --app.",
            code="ai.no_desktop_app",
        )


def _run(words: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ANSWER_S,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(
            f"{words[0]} could not be run.", hint="Restart the app yourself.", code="ai.app_stays"
        ) from error
    return done.stdout.strip()
