"""Directories that are bound to a profile: clients that are started there use that one, or do not go on."""
