"""How insights are shown."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mahavishnu.base.identifiers import shown
from mahavishnu.interfaces.cli.render import excerpt, local_time, print_line, print_table

if TYPE_CHECKING:
    from mahavishnu.operations.insight_requests import InsightBody


def show_insights(insights: "Sequence[InsightBody]", behind: int = 0) -> None:
    """Print insights, a line each, and what is not read yet."""
    print_table(
        ("id", "when", "kind", "times", "project", "for", "insight"),
        (
            (shown(each.id), local_time(each.occurred_at), each.kind, str(each.times), each.project or "",
             ", ".join(each.targets), excerpt(each.content, width=80))
            for each in insights
        ),
    )  # fmt: skip
    if behind:
        print_line(
            f"{behind:,} changes are not read yet; ask again, or see: mahavishnu sync status"
        )
