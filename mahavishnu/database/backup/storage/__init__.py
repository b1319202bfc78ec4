"""Where backup sets are kept: the port, and a module for each kind of place."""
