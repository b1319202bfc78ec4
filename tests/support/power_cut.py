"""
What a power cut leaves of SQLite's files: everything that was synced, and any part of what was not.

SQLite's own library in this process tells what it writes, cuts, syncs and deletes, by functions in the place of
those of its file system; so the code under test is what runs, with nothing of it replaced.
"""

import contextlib
import ctypes
import os
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_POINTER = ctypes.c_void_p
_OPEN = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, _POINTER, ctypes.c_int, _POINTER)
_DELETE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_int)
_WRITE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, _POINTER, ctypes.c_int, ctypes.c_int64)
_TRUNCATE = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int64)
_SYNC = ctypes.CFUNCTYPE(ctypes.c_int, _POINTER, ctypes.c_int)


class _Methods(ctypes.Structure):
    """`sqlite3_io_methods`, as far as version 3."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("close", _POINTER), ("read", _POINTER), ("write", _WRITE), ("truncate", _TRUNCATE),
        ("sync", _SYNC), ("rest", _POINTER * 13),
    )  # fmt: skip


class _File(ctypes.Structure):
    """`sqlite3_file`: what follows is the file system's own."""

    _fields_ = (("methods", ctypes.POINTER(_Methods)),)


class _Vfs(ctypes.Structure):
    """`sqlite3_vfs`, as far as it is needed."""

    _fields_ = (
        ("version", ctypes.c_int), ("file_size", ctypes.c_int), ("max_path", ctypes.c_int),
        ("next", _POINTER), ("name", _POINTER), ("app_data", _POINTER),
        ("open", _OPEN), ("delete", _DELETE),
    )  # fmt: skip


@dataclass(frozen=True)
class Event:
    """One thing that SQLite did to a file; `content` is what was written at `offset`, or None."""

    kind: str  # create, write, truncate, sync, delete
    path: str
    offset: int = 0
    content: bytes = b""
    durable: bool = False


@dataclass
class _Disk:
    """One file: what is on the disk for sure, what was done since, and whether its name is there for sure."""

    kept: bytearray = field(default_factory=bytearray)
    pending: list[Event] = field(default_factory=list)
    named: bool = False
    deleted: bool = False

    def content(self, chosen: Callable[[], bool]) -> bytes:
        """Return the file with those of the later changes that reached the disk."""
        whole = bytearray(self.kept)
        for each in self.pending:
            if chosen():
                _apply(whole, each)
        return bytes(whole)

    def sync(self) -> None:
        """Let all of it be on the disk."""
        for each in self.pending:
            _apply(self.kept, each)
        self.pending.clear()
        self.named = True


def _apply(whole: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        del whole[event.offset :]
        whole.extend(bytes(event.offset - len(whole)))
    else:
        whole.extend(bytes(max(0, event.offset - len(whole))))
        whole[event.offset : event.offset + len(event.content)] = event.content


def after_cut(events: list[Event], folder: Path, seed: int) -> None:
    """
    Write what is there after a power cut into a folder.

    Seed 0 loses all that was not synced, 1 keeps it; others choose piece by piece.
    """
    source = random.Random(seed)
    chosen = {0: lambda: False, 1: lambda: True}.get(seed, lambda: source.random() < 0.5)
    disks: dict[str, _Disk] = {}
    for each in events:
        disk = disks.setdefault(each.path, _Disk())
        if each.kind == "create":
            disks[each.path] = _Disk(named=each.durable)
        elif each.kind == "sync":
            disk.sync()
        elif each.kind == "delete":
            disk.deleted = True
            if each.durable:
                del disks[each.path]
        else:
            disk.pending.append(each)
    for path, disk in disks.items():
        there = (disk.named or chosen()) and not (disk.deleted and chosen())
        if there:
            (folder / Path(path).name).write_bytes(disk.content(chosen))


@contextlib.contextmanager
def recorded(folder: Path) -> Iterator[list[Event]]:
    """Give what SQLite does to files in a folder, while it does it."""
    library = ctypes.CDLL(_find_library())
    library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
    library.sqlite3_vfs_find.argtypes = (ctypes.c_char_p,)
    vfs = library.sqlite3_vfs_find(None).contents
    events: list[Event] = []
    kept: list[Any] = []  # what SQLite calls must not be collected
    paths: dict[int, str] = {}
    open_, delete = _OPEN(_address(vfs.open)), _DELETE(_address(vfs.delete))

    def watch(file: int, path: str) -> None:
        held = _File.from_address(file)
        theirs = held.methods.contents
        own = _Methods()
        ctypes.memmove(ctypes.byref(own), ctypes.byref(theirs), ctypes.sizeof(_Methods))
        write, truncate = _WRITE(_address(theirs.write)), _TRUNCATE(_address(theirs.truncate))
        sync = _SYNC(_address(theirs.sync))

        def do_write(this: int, data: int, size: int, offset: int) -> int:
            events.append(Event("write", paths[this], offset, ctypes.string_at(data, size)))
            return int(write(this, data, size, offset))

        def do_truncate(this: int, size: int) -> int:
            events.append(Event("truncate", paths[this], size))
            return int(truncate(this, size))

        def do_sync(this: int, flags: int) -> int:
            done = int(sync(this, flags))
            events.append(Event("sync", paths[this]))
            return done

        own.write, own.truncate, own.sync = _WRITE(do_write), _TRUNCATE(do_truncate), _SYNC(do_sync)
        kept.extend((own, write, truncate, sync, own.write, own.truncate, own.sync))
        held.methods = ctypes.pointer(own)
        paths[file] = path

    def do_open(this: int, name: int | None, file: int, flags: int, out: int) -> int:
        # SQLite keeps the pointer, and what stands behind it.
        path = os.fsdecode(ctypes.string_at(name)) if name else ""
        ours = bool(path) and Path(path).parent == folder
        new = ours and not Path(path).exists()
        status = int(open_(this, name, file, flags, out))
        if ours and status == 0:
            if new:
                events.append(Event("create", path))
            watch(file, path)
        return status

    def do_delete(this: int, name: int, durable: int) -> int:
        path = os.fsdecode(ctypes.string_at(name))
        status = int(delete(this, name, durable))
        if status == 0 and Path(path).parent == folder:
            events.append(Event("delete", path, durable=bool(durable)))
        return status

    before = vfs.open, vfs.delete
    addresses = _address(vfs.open), _address(vfs.delete)
    vfs.open, vfs.delete = _OPEN(do_open), _DELETE(do_delete)
    kept.extend((vfs.open, vfs.delete, open_, delete, before))
    try:
        yield events
    finally:
        vfs.open, vfs.delete = _OPEN(addresses[0]), _DELETE(addresses[1])


def _address(function: Any) -> int:
    address = ctypes.cast(function, _POINTER).value
    assert address is not None
    return address


def _find_library() -> str | None:
    """Return the library that the module sqlite3 has loaded; None where it is part of the interpreter."""
    import sqlite3  # noqa: F401 - so that it is loaded

    maps = Path("/proc/self/maps").read_text()
    found = re.search(r"\S*/libsqlite3[^\s]*\.so[^\s]*", maps)
    return found[0] if found else None
