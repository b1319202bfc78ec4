"""Fall back to another profile where one fails, and return."""

COMMANDS = {
    "status": "Show how failover stands.",
    "on": "Fall back where a profile fails, and return.",
    "off": "Switch nothing automatically.",
    "pin": "Stay with the present profiles; report failures.",
}
