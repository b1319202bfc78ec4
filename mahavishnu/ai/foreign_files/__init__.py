"""Other programs' settings files: read, changed by members, and replaced while those programs run."""
