"""`mahavishnu ai permissions deny`."""

from mahavishnu.interfaces.cli.ai.permissions.adding import add_command

deny = add_command("deny", "Never let it do this, as in 'Read(./.env)'.")
