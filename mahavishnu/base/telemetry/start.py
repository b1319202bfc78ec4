"""Send telemetry while a block lasts, where the settings ask for it."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from mahavishnu.base.extras import not_installed
from mahavishnu.base.logs import get_logger

if TYPE_CHECKING:
    from mahavishnu.base.telemetry.export import SendFigures

FIGURES_EVERY_S = 60.0
_log = get_logger(__name__)


def sending_telemetry(
    *, enabled: bool, endpoint: str | None, environ: Mapping[str, str], lasting: bool = False
) -> "AbstractContextManager[SendFigures | None]":
    """
    Send spans while the block lasts; yields what sends figures, if those are wanted.

    Nothing is sent without an endpoint. Where the extra is missing, or the endpoint, the log says so. A `lasting`
    process is one that sends figures, and whose log says once when the collector cannot be reached.
    """
    if not enabled:
        return nullcontext()
    try:
        from mahavishnu.base.telemetry.export import sending  # noqa: PLC0415 - an extra, and 0.2 s
    except ImportError:
        _log.warning("telemetry_off", reason=not_installed("telemetry").message)
        return nullcontext()
    return sending(endpoint, environ, lasting=lasting)


def figures_every_s(environ: Mapping[str, str]) -> float:
    """Return how often figures are sent, by OpenTelemetry's own variable."""
    told = environ.get("OTEL_METRIC_EXPORT_INTERVAL", "")
    return max(1.0, int(told) / 1000) if told.isdecimal() and len(told) < 10 else FIGURES_EVERY_S
