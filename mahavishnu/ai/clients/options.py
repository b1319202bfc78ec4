"""The options that a session was started with: which to repeat when it is resumed."""

from collections.abc import Mapping, Sequence
from pathlib import Path


def sort_options(
    words: Sequence[str], kept: Mapping[str, int], replaced: Mapping[str, int]
) -> tuple[list[str], tuple[str, ...]]:
    """
    Return the options to say again, and the names of those that are not known; a prompt is not said again.

    `kept` and `replaced` have, by option, how many words follow it; -1: all up to the next option. The
    words to resume take the place of those `replaced`.
    """
    again: list[str] = []
    left_out: list[str] = []
    rest = list(_options_in(words))
    while rest:
        word = rest.pop(0)
        name, mark, _ = word.partition("=")
        if not name.startswith("-"):
            continue
        if name in kept:
            again += [word, *_take(rest, 0 if mark else kept[name])]
        elif name in replaced:
            _take(rest, 0 if mark else replaced[name])
        else:
            left_out.append(name)
    return again, tuple(left_out)


def _options_in(words: Sequence[str]) -> Sequence[str]:
    """Return the words after the program, which of a script is the last word that ends in .js."""
    scripts = [
        place
        for place, word in enumerate(words[:6])
        if Path(word).suffix in (".js", ".cjs", ".mjs")
    ]
    return words[scripts[-1] + 1 :] if scripts else words[1:]


def _take(rest: list[str], count: int) -> list[str]:
    """Take so many words off the rest, below 0 as many as there are, and none from the next option on."""
    free = next((place for place, word in enumerate(rest) if word.startswith("-")), len(rest))
    number = free if count < 0 else min(count, free)
    taken, rest[:] = rest[:number], rest[number:]
    return taken
