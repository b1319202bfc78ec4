"""Sessions of AI clients that run, found by what the clients themselves register, never by a process's name."""
