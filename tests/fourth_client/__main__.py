"""`mahavishnu`, or its guard, with the fourth client: a line of the table, and nothing else."""

import sys

from mahavishnu.ai.clients.table import PACKAGES

PACKAGES["fourth"] = "tests.fourth_client"

if sys.argv[1:2] == ["guard"]:
    from mahavishnu.interfaces.cli import guard

    sys.argv[1:2] = []
    sys.exit(guard.main())
else:
    from mahavishnu.interfaces.cli import root

    root.main()
