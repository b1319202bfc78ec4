"""The LLM gateway: a process that passes requests of AI clients on to providers, and moves on where one fails."""
