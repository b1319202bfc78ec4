"""What runs and is looked after: the daemon, and the checks of `mahavishnu doctor`; a backend is a folder."""
