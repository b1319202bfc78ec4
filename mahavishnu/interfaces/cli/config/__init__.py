"""Show and check the settings."""

COMMANDS = {
    "path": "Print where settings, data and state live.",
    "show": "Print every setting with its value; secrets are masked.",
    "trust": "Use the settings/ of FOLDER (here by default); only for repositories you trust.",
    "validate": "Check all settings and profiles; names what replaced and unknown keys should be.",
}
