"""Backup sets: made, kept, restored and proven."""
