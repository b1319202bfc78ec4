"""The operation that checks the database."""

import shlex
from typing import Annotated

from msgspec import Meta

from mahavishnu.memory.integrity import Damage, Severity, check_integrity
from mahavishnu.operations.bodies import Body
from mahavishnu.operations.operation import Call, Operation, Request

MOST_NAMED = 20  # memories that one command forgets


class CheckDatabase(Request, frozen=True, kw_only=True):
    """Nothing is asked but the state."""


class DamageBody(Body, frozen=True, kw_only=True):
    """Something that does not fit together."""

    name: str
    severity: Annotated[
        Severity,
        Meta(description="error: something that was stored is lost or not found."),
    ]
    count: int
    summary: str
    hint: Annotated[str, Meta(description="The command that fixes it.")]


class DatabaseCheck(Body, frozen=True, kw_only=True):
    """What was found; `sound` where nothing was stored that is lost or not found."""

    sound: bool
    findings: list[DamageBody]
    others_left_out: Annotated[
        bool, Meta(description="Others may use this database; their rows were not checked.")
    ]


async def check_database(call: Call, _request: CheckDatabase) -> DatabaseCheck:
    """Look for what does not fit together in the database; changes nothing."""
    found, others = await check_integrity(call.app.database)
    return DatabaseCheck(
        sound=all(each.severity != "error" for each in found),
        findings=[
            DamageBody(
                name=each.name,
                severity=each.severity,
                count=each.count,
                summary=each.summary,
                hint=fix_for(each),
            )
            for each in found
        ],
        others_left_out=others,
    )


def fix_for(damage: Damage) -> str:
    """Return the command that fixes a damage, or shows what it is of."""
    if damage.ids:
        ids = " ".join(map(str, damage.ids[:MOST_NAMED]))
        return (
            "mahavishnu memory export FILE && "
            f"mahavishnu memory forget {ids} && mahavishnu memory import jsonl FILE"
        )
    if not damage.statement:
        return (
            "Export what is there, and import it into a new database: mahavishnu memory export FILE"
        )
    shell = f"mahavishnu db shell -c {shlex.quote(damage.statement)}"
    return f"{shell} && mahavishnu memory embed" if damage.name == "without_vectors" else shell


CHECK_DATABASE = Operation(
    name="check_database",
    title="Check the database",
    description="Whether what is stored fits together: memories that no search finds, rows that lead "
    "nowhere, a model without its index, bloat. Each finding has the command that fixes it; show that "
    "to the user. Changes nothing; takes longer the more is stored.",
    request=CheckDatabase,
    result=DatabaseCheck,
    run=check_database,
    method="GET",
    path="/database/check",
    read_only=True,
)
