"""Alerts: messages to the user's channels about what the journal of automatic acts has."""
