"""
Make backup sets, prove that they restore, and restore them.

A set has the database in one snapshot, the settings and profiles without keys, and the journal of switches.
SET is its number, name or token, as `list` shows them; by default the newest.
"""

COMMANDS = ("create", "drill", "list", "prune", "restore", "verify")
