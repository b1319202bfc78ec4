"""
What a user changes in Claude Code's settings beside the provider: variables, hooks, rules and more.

Each module gives changes for what the file says now, and planning again after them gives none that
does anything. Names and types are those that Claude Code 2.1.329 was seen to take.
"""
