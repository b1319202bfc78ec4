"""Codex."""

from mahavishnu.ai.clients.facts import ALL_PROXY, HTTP_PROXY, Facts

FACTS = Facts(
    program="codex",
    client="mahavishnu.ai.clients.codex.client",
    hooks="mahavishnu.ai.clients.codex.hooks",
    in_force="mahavishnu.ai.clients.codex.in_force",
    key_settings="mahavishnu.ai.clients.codex.key_settings",
    proxies=(*HTTP_PROXY, *ALL_PROXY),
    star=False,
    server_word="app-server",
)
