"""Switch AI clients to a profile, undo it, and keep what others changed: plan, write, journal, drift."""
