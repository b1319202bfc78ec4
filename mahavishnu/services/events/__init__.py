"""A journal of automatic acts: what was done without anybody asking, why, and how it ended."""
