"""Settings: the tree, where values come from, how they are read, and former keys."""
