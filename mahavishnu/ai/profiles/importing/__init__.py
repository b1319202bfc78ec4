"""What other programs keep of providers, read as profiles, and where their keys go instead."""
