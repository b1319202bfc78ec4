"""The life of the daemon: started in the background, its port, its log, what it does on its own."""
