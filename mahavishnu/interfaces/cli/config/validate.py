"""`mahavishnu config validate`."""

import sys

import click

from mahavishnu.base.settings.sources import Loaded
from mahavishnu.daemon.jobs import scheduled_jobs, sync_job
from mahavishnu.database.backup.encryption import PartEncryption
from mahavishnu.database.backup.storage.choose import parse_address
from mahavishnu.database.target import target_of_dsn
from mahavishnu.embedding.addresses import require_openai_url, resolve_ollama_url
from mahavishnu.factories import external_target
from mahavishnu.interfaces.cli.options import json_option, load_quietly
from mahavishnu.interfaces.cli.render import print_json, print_line
from mahavishnu.operations.ai.alert_channels import alert_channels
from mahavishnu.operations.ai.clients import check_environments
from mahavishnu.operations.ai.profiles import read_own
from mahavishnu.operations.ai.results import SettingsCheck
from mahavishnu.operations.ai.secret_settings import require_declared
from mahavishnu.operations.ai.team_profiles import read_shared


@click.command()
@json_option
def validate(as_json: bool) -> None:
    """Check all settings and profiles; names what replaced and unknown keys should be."""
    loaded = load_quietly()
    _check_addresses(loaded)
    _check_backups(loaded)
    alert_channels(loaded)
    require_declared(loaded)
    notices = [*loaded.notices, *check_environments(loaded)]
    own, shared = read_own(loaded), read_shared(loaded)
    if as_json:
        print_json(SettingsCheck(valid=not own.broken, notices=notices, unusable=own.unusable))
    else:
        for line in (*notices, *own.reasons):
            print_line(line)
        if own.broken:
            print_line(
                f"Profiles that cannot be used: {len(own.broken)}; the other settings are valid."
            )
        elif shared.broken or shared.unread:
            print_line("Your settings are valid, but not all that your team shares can be used.")
        else:
            print_line("The settings are valid.")
    sys.exit(max((each.exit_code for each in own.broken.values()), default=0))


def _check_addresses(loaded: Loaded) -> None:
    """Raise what a command would raise that uses them; nothing is asked on the network."""
    external_target(loaded.settings.postgresql)
    embedding = loaded.settings.embedding
    if embedding.provider == "openai":
        require_openai_url(embedding.openai_base_url)
    if embedding.provider == "ollama" or (
        embedding.provider == "auto" and embedding.ollama_base_url
    ):
        resolve_ollama_url(embedding.ollama_base_url, loaded.environ)


def _check_backups(loaded: Loaded) -> None:
    """Raise what a backup would raise before it asks anybody; the settings themselves hold `keep` to its bounds."""
    backup = loaded.settings.backup
    if backup.store is not None:
        parse_address(backup.store)
    if backup.dsn is not None:
        target_of_dsn(backup.dsn)
    if backup.recipients:
        PartEncryption(backup.recipients)
    scheduled_jobs(loaded)
    sync_job(loaded)
