"""What the operations on AI clients take."""

from typing import Annotated

from msgspec import Meta, field

from mahavishnu.ai.clients.table import CLIENTS, ClientName
from mahavishnu.ai.switching.switch import Via
from mahavishnu.base.errors import UsageError
from mahavishnu.base.identifiers import parse_reference
from mahavishnu.operations.operation import Request

type ProfileName = Annotated[
    str, Meta(min_length=1, max_length=64, description="Name of a profile; list_llms lists them.")
]


class ListLlms(Request, frozen=True, kw_only=True):
    """Nothing is asked but the profiles."""


class LlmStatus(Request, frozen=True, kw_only=True):
    """Nothing is asked but the state of the clients."""


class SwitchLlm(Request, frozen=True, kw_only=True):
    """Which profile, for which clients. `name` or `llm_name` says it, one of the two."""

    name: ProfileName | None = None
    llm_name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=64)] | None,
        Meta(description="The same as name; give one of the two."),
    ] = None
    clients: Annotated[
        list[ClientName],
        Meta(
            max_length=len(CLIENTS),
            description="Only these; without any, all that are installed and that the profile fits.",
        ),
    ] = field(default_factory=list)
    allow_missing_key: Annotated[
        bool,
        Meta(
            description="Switch though the profile's key is not in this server's environment: only "
            "where the user says that the clients are started with it."
        ),
    ] = False
    via: Annotated[
        Via | None,
        Meta(
            description="gateway: point the clients at the local gateway, which takes them to the profile; direct:"
            " at the provider itself; null: as each goes now, so that of one behind the gateway only the route"
            " changes."
        ),
    ] = None
    confirm: Annotated[
        bool, Meta(description="false only says what would change; true switches.")
    ] = False

    @property
    def profile(self) -> str:
        """The profile's name; raises `UsageError` where none is given, or two are."""
        named = {self.name, self.llm_name} - {None}
        if len(named) != 1:
            raise UsageError(
                "Exactly one profile must be named.",
                hint="name: a name from list_llms. llm_name is the same.",
                code="input.profile",
            )
        return str(named.pop())


class UndoSwitch(Request, frozen=True, kw_only=True):
    """Which switch is taken back."""

    id: Annotated[
        str,
        Meta(
            min_length=4,
            max_length=64,
            description="Id of a switch, whole or the 8 hex digits it ends with; llm_status lists the "
            "latest.",
        ),
    ]
    confirm: Annotated[
        bool, Meta(description="false only shows what would be undone; true undoes it.")
    ] = False

    def check(self) -> None:
        """Refuse what is no id."""
        parse_reference(self.id)
