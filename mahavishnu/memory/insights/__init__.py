"""What was learnt on the way: found in stored texts, kept as memories of their own, shared, and counted."""
