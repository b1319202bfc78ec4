"""What Claude Code may do: allow, deny, ask; deny counts before ask, and ask before allow."""

COMMANDS = ("allow", "ask", "deny", "fence", "list", "remove")
