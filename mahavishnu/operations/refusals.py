"""How refusals speak to programs and models: of operations instead of commands, and briefly. Pure."""

_HEAD, _TAIL = 80, 40  # characters that are left of what is too long
_IN_OPERATIONS = {
    "mahavishnu memory list": "list_memories, or search",
    "mahavishnu memory show ID": "get_memory",
    "mahavishnu memory restore --list": "list_forgotten",
    "mahavishnu memory forget": "forget_memory",
    "State its dimensions, and its": "Store a memory with its vector (store_unified_memory), and its",
}


def brief(text: str) -> str:
    """Return what a caller sent as an error repeats it: a long one has its middle cut out."""
    return text if len(text) <= _HEAD + _TAIL else f"{text[:_HEAD]}…{text[-_TAIL:]}"


def in_operations(text: str | None) -> str | None:
    """Return a hint with the operations in the place of the commands that do the same."""
    for command, operation in _IN_OPERATIONS.items():
        text = text and text.replace(command, operation)
    return text
