"""Keys are named, not written down: references, the stores they lead to, and the helper that prints one."""
