"""Globs of paths within a repository: `*` is part of a name, `**` any folders. Pure."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

_SET = re.compile(r"\[!?\]?[^\]]*\]")


def check_glob(pattern: str) -> str:
    """Return what is wrong with a glob; nothing where it can stand for a path within a repository."""
    parts = pattern.split("/")
    if pattern.startswith("/") or ".." in parts:
        return "it leads out of the repository; write it like docs or src/**"
    if any("[" in _SET.sub("", part) for part in parts):
        return "a [ without its ]"
    return ""


def matches(path: str, globs: Sequence[str]) -> bool:
    """Tell whether one of the globs stands for a path, or for a folder above it."""
    whole = PurePosixPath(path)
    return any(
        each.full_match(pattern.rstrip("/"))
        for pattern in globs
        for each in (whole, *whole.parents[:-1])
    )
