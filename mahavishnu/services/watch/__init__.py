"""Watches files of settings: a hint that something was written, and what it changed."""
