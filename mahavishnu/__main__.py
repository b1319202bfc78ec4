"""`python -m mahavishnu`."""

from mahavishnu.interfaces.cli.root import main

main()
