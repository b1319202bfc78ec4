"""The real programs of others that tests run, and what stands in for their providers."""
