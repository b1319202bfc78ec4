"""The Model Context Protocol: tools, resources and prompts over the operations. No transport in here."""
