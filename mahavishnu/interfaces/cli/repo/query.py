"""`mahavishnu repo query`."""

from typing import TYPE_CHECKING

import click

from mahavishnu.interfaces.cli.asking import asks
from mahavishnu.interfaces.cli.memory.hits import print_hits
from mahavishnu.interfaces.cli.render import excerpt

if TYPE_CHECKING:
    from mahavishnu.operations.repository_requests import KnowledgeAnswer


def _show(answer: "KnowledgeAnswer") -> None:
    print_hits(
        answer,
        ("score", "project", "lines", "commit", "content"),
        lambda hit: (
            f"{hit.score:.3f}", hit.project or "",
            f"{hit.path or ''}{f':{hit.start_line}-{hit.end_line}' if hit.start_line else ''}",
            (hit.commit or "")[:8], excerpt(hit.content, start=hit.char_start or 0),
        ),
    )  # fmt: skip


@click.command()
@click.argument("query", metavar="TEXT")
@click.option("--repo", "repo_id", metavar="NAME", help="Only this repository.")
@click.option("--group", metavar="NAME", help="Only repositories of this group.")
@click.option("--limit", "top_k", default=5, show_default=True, help="Most passages.")
@click.option("--explain", is_flag=True, help="Show how they were found.")
@asks("query_knowledge_base", _show, max_tokens=None)
def query() -> None:
    """Find the passages of code and documents that answer TEXT, best first."""
