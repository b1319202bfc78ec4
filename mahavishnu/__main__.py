"""`python -m mahavishnu`."""

from mahavishnu.cli.root import main

main()
