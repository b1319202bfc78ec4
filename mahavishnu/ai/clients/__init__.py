"""The AI clients that a profile can be given to: one folder and one line of `table.py` each."""
