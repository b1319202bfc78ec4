"""What is stored reaches others: the change feed, read in order and delivered at least once."""
