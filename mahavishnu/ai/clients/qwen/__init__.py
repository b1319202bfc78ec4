"""Qwen Code."""

from mahavishnu.ai.clients.facts import HTTP_PROXY, HTTPS_PROXY, Facts

FACTS = Facts(
    program="qwen",
    client="mahavishnu.ai.clients.qwen.client",
    hooks="mahavishnu.ai.clients.qwen.hooks",
    in_force="mahavishnu.ai.clients.qwen.in_force",
    proxies=(*HTTP_PROXY, *HTTPS_PROXY),
    brackets=True,
    folder_variable="QWEN_PROJECT_DIR",
)
