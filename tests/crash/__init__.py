"""Commands are harmed at any step: nothing that was acknowledged is lost, nothing is there by halves."""
