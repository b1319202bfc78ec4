"""The environments of AI clients: their settings, changed without touching what is not ours."""
