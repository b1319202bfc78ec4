"""AI environments: profiles, their secrets, and the settings of AI clients. Needs no database and no daemon."""
