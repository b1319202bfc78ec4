"""Its hooks are in a file of their own."""

from pathlib import Path

from mahavishnu.ai.clients.hooks import GuardHooks


class FourthHooks(GuardHooks):
    """The hooks of the fourth client."""

    def file(self, settings: Path) -> Path:
        return settings.with_name("hooks.json")


HOOKS: GuardHooks = FourthHooks()
