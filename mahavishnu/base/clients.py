"""
Which AI clients there are, for those below `ai` that need no more than names: the settings.

This is empty until `ai.clients.table` enters its lines, which the package does first of all.
"""

# By the name of each client, its package.
CLIENT_PACKAGES: dict[str, str] = {}
