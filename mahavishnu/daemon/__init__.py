"""The daemon: how it starts in the background, its port and log, and what it does on its own."""
