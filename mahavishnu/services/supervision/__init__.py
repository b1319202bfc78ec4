"""The daemon's own supervision: a small process for each unit, logs, health checks, restarts."""
