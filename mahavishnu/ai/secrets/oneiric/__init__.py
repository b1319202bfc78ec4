"""Keys in cloud stores, by the adapters, the resolver and the lifecycle of Oneiric, an extra."""
