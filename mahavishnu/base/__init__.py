"""What every part stands on: errors, paths, files, processes, settings, and how a daemon is found."""
