"""The command line: thin, lazy, one way to show results and errors."""
