"""`hot`: the vectors of PostgreSQL in the memory of a server too; answers are read in PostgreSQL all the same."""
