"""Session-Buddy as a unit, which every backend can run."""

from pathlib import Path

from mahavishnu.services.units.unit import HealthCheck, Unit

LAUNCHER = Path(__file__).with_name("launcher.py")
START_TIMEOUT_S = 120.0  # its first import of all compiles a thousand modules


def session_buddy_unit(
    python: str, *, home: Path, port: int, data_dir: Path | None = None, in_place: bool = False
) -> Unit:
    """
    Return the unit that keeps all it writes below `home`, and listens on a port of 127.0.0.1.

    `python` is an interpreter that has session-buddy. `data_dir` is one that the user has already: its databases
    are copied on the first start, or written where they are.
    """
    data = () if data_dir is None else ("--data" if in_place else "--copy", str(data_dir))
    return Unit(
        name="session-buddy",
        # -I: neither the working folder nor variables of Python add modules.
        command=(python, "-I", str(LAUNCHER), "--home", str(home), "--port", str(port), *data),
        health=HealthCheck(http=f"http://127.0.0.1:{port}/health"),
        start_timeout_s=START_TIMEOUT_S,
        shared=True,  # one that the user started on this port stays in use
    )
