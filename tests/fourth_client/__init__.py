"""A client that only the tests have: its settings are TOML of its own form, its sessions a list in one file."""

from mahavishnu.ai.clients.facts import HTTP_PROXY, Facts

FACTS = Facts(
    program="fourth",
    client="tests.fourth_client.client",
    hooks="tests.fourth_client.hooks",
    in_force="tests.fourth_client.in_force",
    key_settings="tests.fourth_client.key_settings",
    proxies=HTTP_PROXY,
)
