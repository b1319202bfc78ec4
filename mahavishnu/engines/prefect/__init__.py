"""Prefect: what flows and tasks do becomes executions. Importing this imports neither Prefect nor a database."""

from mahavishnu.engines.prefect.recorder import Recorder

__all__ = ["Recorder"]
