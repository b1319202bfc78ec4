"""`mahavishnu mcp serve` as a process: it says protocol and nothing else, whatever it is told."""

import contextlib
import os
import signal
import subprocess
from dataclasses import replace

import pytest

from tests.support.command import Command
from tests.support.daemon import STDIO, running, wait_until
from tests.support.stdio import HELLO, Line, dispose, end, served

pytestmark = pytest.mark.postgres


@pytest.mark.parametrize("by_daemon", [True, False], ids=["handed on", "by itself"])
def test_stdout_is_for_the_protocol_alone(settled: Command, by_daemon: bool) -> None:
    noticed = replace(settled, environment=settled.environment | {"MAHAVISHNU_PG_POOLSIZE": "5"})
    with running(settled) if by_daemon else contextlib.nullcontext():
        with served(noticed, "--set", "log_level=debug") as line:
            assert line.tool(1, "store_memory", content="Line\nbreaks\r\n and ümläute.")["created"]
            assert "tools" in line.ask(2, "tools/list")["result"]
            status, err = end(line)
        assert status == 0 and len(line.messages) == 3
        assert b"Note: " in err and b"Traceback" not in err


def test_lines_that_are_no_messages_are_answered_and_end_nothing(settled: Command) -> None:
    with served(settled, "--set", "server.max_body=65536") as line:
        for bad, code in (
            (b"{\n", -32700), (b"\xff\xfe\n", -32700), (b"[" * 60_000 + b"\n", -32700), (b"nul\n", -32700),
            (b"[]\n", -32600), (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]\n', -32600),
            (b"1\n", -32600), (b'{"id": 5}\n', -32600), (b"x" * 200_000 + b"\n", -32600),
        ):  # fmt: skip
            line.said.clear()
            line.write(bad)
            assert line.answer(None)["error"]["code"] == code, bad[:40]
        line.write(b"\n  \n\r\n")
        line.write(b'{"jsonrpc":"2.0","id":7,"result":{}}\n')
        assert line.ask(1, "no/such/method")["error"]["code"] == -32601
        unknown = line.ask(2, "tools/call", {"name": "no_such_tool", "arguments": {}})
        assert "store_memory" in unknown["error"]["message"]
        line.write(b'{"jsonrpc":"2.0","id":"a","method":"tools/list"}\r\n')
        assert line.answer("a")["result"]["tools"]  # type: ignore[arg-type]
        assert line.tool(3, "store_memory", content="Still here.")["created"]
        assert end(line)[0] == 0


@pytest.mark.parametrize("by_daemon", [True, False], ids=["handed on", "by itself"])
def test_what_was_asked_is_answered_though_the_input_ends(
    settled: Command, by_daemon: bool
) -> None:
    with running(settled) if by_daemon else contextlib.nullcontext():
        with served(settled, greet=False) as line:
            line.send("initialize", HELLO, 0)
            for number in range(1, 21):
                arguments = {"name": "store_memory", "arguments": {"content": f"Fact {number}."}}
                line.send("tools/call", arguments, number)
            status, err = end(line)
            wait_until(lambda: len(line.said) >= 21)
        assert (status, err) == (0, b"")
        assert {each["id"] for each in line.messages} == set(range(21))
        assert len(settled("memory", "list", "--limit", "50", "--json").json["memories"]) == 20


@pytest.mark.parametrize(
    ("how", "by_daemon"),
    [("SIGTERM", True), ("SIGTERM", False), ("SIGINT", False), ("stdin closed", True)],
)
def test_it_ends_without_a_word_of_complaint(settled: Command, by_daemon: bool, how: str) -> None:
    with running(settled) if by_daemon else contextlib.nullcontext():
        with served(settled) as line:
            assert line.tool(1, "store_memory", content="Kept.")["created"]
            if how == "stdin closed":
                line.process.stdin.close()  # type: ignore[union-attr]
            else:
                line.process.send_signal(getattr(signal, how))
            assert line.process.stderr
            err = line.process.stderr.read()
            line.process.wait(120)
        assert err.strip() == b""
        assert len(settled("memory", "list", "--json").json["memories"]) == 1


def test_who_reads_no_more_ends_it(settled: Command) -> None:
    """The client's reading end is gone while its writing end stays: nobody will ever hear an answer."""
    with served(settled, reading=False, greet=False) as line:
        assert line.process.stdout and line.process.stderr
        line.process.stdout.close()
        line.send("ping", number=1)
        line.process.wait(120)
        assert b"Traceback" not in line.process.stderr.read()


def test_an_answer_larger_than_a_pipe_arrives_whole_where_the_pipe_does_not_block(
    settled: Command,
) -> None:
    settled("memory", "store", input=("long " * 150_000).encode())
    ours, theirs = os.pipe()
    os.set_blocking(theirs, False)
    process = settled.start(*STDIO, stdin=subprocess.PIPE, stdout=theirs)
    os.close(theirs)
    process.stdout = os.fdopen(ours, "rb")
    try:
        line = Line(process)
        line.send("initialize", HELLO, 0)
        asked = {"name": "list_memories", "arguments": {"max_tokens": None}}
        for number in range(1, 4):
            line.send("tools/call", asked, number)
        line.read_on()
        for number in range(1, 4):
            assert len(str(line.answer(number)["result"])) > 1_000_000
        status, err = end(line)
        assert (status, err) == (0, b"")
    finally:
        dispose(process)
