"""Where the gateway takes the requests of each client: names of profiles, and the tokens that clients show it."""
