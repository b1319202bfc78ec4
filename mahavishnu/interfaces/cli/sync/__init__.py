"""See and run what follows your memories, such as a mirror."""

COMMANDS = ("drop", "retry", "run", "runs", "status")
