"""PostgreSQL: where it runs, how it is reached, its schema and its named statements."""
