"""It is started on a profile by options, and with the key in a variable."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from mahavishnu.ai.clients.delivery import Delivery
from mahavishnu.ai.clients.launch import CheckProject, Options
from mahavishnu.base.masking import Secret

check_project: CheckProject | None = None


def find_options(
    delivery: Delivery,
    words: Sequence[str],
    *,
    key: Secret,
    environ: Mapping[str, str],
    folder: Path,
) -> Options:
    return Options(("--asks", delivery.url, delivery.model), {"FOURTH_KEY": key.reveal()})
