"""Pass requests of AI clients on to providers, and move on where one fails."""

COMMANDS = {
    "serve": "Run the gateway until Ctrl-C.",
    "status": "Show whether the gateway runs, and which profiles it passes over.",
    "routes": "Show where the requests of each client go, in order.",
    "log": "Show the last requests: profile, latency, tokens, and why one failed.",
    "usage": "Show requests, failures and tokens of each profile by day.",
}
