"""The AI clients that a profile can be given to: one module and one line of `table.py` each."""
