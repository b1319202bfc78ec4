"""`mahavishnu config`: the settings."""

import click

from mahavishnu.interfaces.cli.lazy import LazyGroup


@click.group(
    cls=LazyGroup,
    package=__package__,
    summaries={
        "path": "Print where settings, data and state live.",
        "show": "Print every setting with its value; secrets are masked.",
        "trust": "Use the settings/ of FOLDER (here by default); only for repositories you trust.",
        "validate": "Check all settings and profiles; names what replaced and unknown keys should be.",
    },
)
def config() -> None:
    """Show and check the settings."""
