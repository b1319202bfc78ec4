"""Profiles: what one is, where they are kept and imported from, and what a client is given of one."""
