"""What a cloud answers: the text of a secret, and since when it is that."""

from dataclasses import dataclass
from datetime import datetime

from mahavishnu.base.masking import Secret


@dataclass(frozen=True)
class Answer:
    """
    What stands at an id: None where there is nothing, `created_at` where the cloud tells it.

    `store` is the name of the one that answered, as PROVIDER/NAME.
    """

    store: str
    text: Secret | None
    created_at: datetime | None = None
