"""Benchmarks: `python -m benchmarks` (or `make bench`). Nothing here is imported by the product."""
