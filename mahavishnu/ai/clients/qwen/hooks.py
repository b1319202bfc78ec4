"""At which events Qwen Code runs the guard."""

import json
from pathlib import Path

from mahavishnu.ai.clients.hooks import GuardHooks, has_value


class QwenHooks(GuardHooks):
    """The hooks of Qwen Code; nothing stops its compaction."""

    def find_switched_off(self, folder: Path) -> list[str]:
        """Return its settings of the directory, where they switch hooks off."""
        path = folder / ".qwen" / "settings.json"
        if has_value(path, json.loads, *self.off_switch, value=True):
            return [f"Qwen Code runs no guard: {path} switches hooks off"]
        return []


HOOKS: GuardHooks = QwenHooks()
