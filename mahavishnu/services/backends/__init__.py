"""Supervisors of the system that can run a unit: systemd, supervisord, launchd."""
