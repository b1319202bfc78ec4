"""Messages about what was done automatically: to your desktop, by mail, to a chat or a webhook."""

COMMANDS = ("test",)
