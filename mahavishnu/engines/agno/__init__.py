"""Agno: runs of agents become conversations, and agents get a memory and a knowledge base."""

from mahavishnu.engines.agno.memory import AgentMemory

__all__ = ["AgentMemory"]
