"""Options that say what a memory carries, and which memories are meant."""

from collections.abc import Callable
from typing import Any

import click

from mahavishnu.interfaces.cli.options import (
    METADATA_HELP,
    add_options,
    read_metadata,
    since_option,
    until_option,
)
from mahavishnu.memory.models import COLLECTIONS, MEMORY_TYPES, NAMES, only

TYPES = f"{', '.join(MEMORY_TYPES[:-1])} or {MEMORY_TYPES[-1]}"


def name_options[F: Callable[..., Any]](function: F) -> F:
    """Add the options that say where a memory comes from."""
    return add_options(function, *(_name_option(*each) for each in NAMES.items()))


def filter_options[F: Callable[..., Any]](function: F) -> F:
    """Add the options that narrow which memories are meant; they are called as `Where` calls them."""
    return add_options(
        function,
        click.option("--type", "memory_types", multiple=True, metavar="TYPE",
                     help=f"{TYPES}; repeatable."),
        click.option("--collection", "collections", multiple=True, metavar="NAME",
                     help=f"{', '.join(COLLECTIONS[:-1])} or {COLLECTIONS[-1]}; repeatable."),
        click.option("--project", "projects", multiple=True, metavar="NAME", help="Repeatable."),
        *(_name_option(name, only(name)) for name in NAMES),
        click.option("--source", "source_system", metavar="NAME", help="Only this source system."),
        click.option("--metadata", multiple=True, metavar="K=V|JSON",
                     callback=lambda *given: read_metadata(*given) or None,
                     help=f"Only with this metadata; repeatable. {METADATA_HELP}"),
        since_option,
        until_option,
    )  # fmt: skip


def _name_option(name: str, meaning: str) -> Callable[..., Any]:
    return click.option(f"--{name.removesuffix('_id')}", name, metavar="ID", help=meaning)
