"""Lines in and out: whole, in order, bounded."""

import asyncio
import threading
import time

import pytest

from mahavishnu.interfaces.stdio.lines import HEAD, LineWriter, Overlong, split_lines


async def test_lines_are_written_whole_and_in_order_whoever_stops_waiting() -> None:
    begun, on = threading.Event(), threading.Event()
    pieces: list[bytes] = []

    def write(line: bytes) -> None:
        pieces.append(line[:1])
        begun.set()
        on.wait(10)
        time.sleep(0.02)
        pieces.append(line[1:])

    writer = LineWriter(write, room=2)
    first = asyncio.create_task(writer.write(b"1a"))
    await asyncio.to_thread(begun.wait, 10)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    second = asyncio.create_task(writer.write(b"2b"))
    await asyncio.sleep(0.05)
    full = asyncio.create_task(writer.room())
    await asyncio.sleep(0)
    assert not full.done()  # what is cancelled is still to be written
    on.set()
    await second
    await asyncio.wait_for(full, 10)
    assert pieces == [b"1", b"a", b"2", b"b"]


async def test_a_reader_that_has_gone_is_told_to_each_who_writes() -> None:
    def write(_line: bytes) -> None:
        raise BrokenPipeError

    writer = LineWriter(write, room=1)
    for _ in range(2):
        with pytest.raises(BrokenPipeError):
            await writer.write(b"x")
        await asyncio.wait_for(writer.room(), 10)


def test_lines_are_split_wherever_they_are_cut() -> None:
    text = b"one\n\nthree\nlast"
    for size in range(1, len(text) + 1):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        assert list(split_lines(pieces, 10)) == [b"one", b"", b"three", b"last"]


def test_of_a_line_that_is_too_long_both_ends_are_kept() -> None:
    long = b"head" + b"x" * 20_000
    found = list(split_lines([b"a\n", long[:300], long[300:], b"tail\nb\n"], 100))
    assert [found[0], found[2]] == [b"a", b"b"]
    assert isinstance(found[1], Overlong) and found[1].head.startswith(b"headxxx")
    assert found[1].tail.endswith(b"xxxtail")
    assert len(found[1].head) <= HEAD >= len(found[1].tail)
