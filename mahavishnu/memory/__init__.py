"""The memory: store, search, ranking, conversations, executions and metrics."""
