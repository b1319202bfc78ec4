"""`mahavishnu ai permissions ask`."""

from mahavishnu.interfaces.cli.ai.permissions.adding import add_command

ask = add_command("ask", "Let it do this only after asking, as in 'Bash(git push *)'.")
