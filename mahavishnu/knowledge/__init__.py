"""Repositories and documents as memories: who they are, what they say, what changed."""
