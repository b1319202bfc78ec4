"""`mahavishnu ai permissions allow`."""

from mahavishnu.interfaces.cli.ai.permissions.adding import add_command

allow = add_command("allow", "Let it do this without asking, as in 'Bash(make test)'.")
