"""A server's lines: whole, in the file and on the console, whatever they hold and whoever reads."""

import asyncio
import io
import threading
from pathlib import Path

import pytest

from nemo_gym.launch.processes.process import LogPump
from nemo_gym.launch.terminal.console import MAX_WAITING_CHARACTERS, ServerConsole


async def test_pump_keeps_every_byte_in_the_file_and_every_line_in_order(tmp_path: Path) -> None:
    shown: list[str] = []
    stream = asyncio.StreamReader()
    stream.feed_data(b"one\ntw")
    stream.feed_data(b"o\r\n\xff broken\nlast")
    stream.feed_eof()
    pump = LogPump(tmp_path / "x.log", shown.append)
    await pump.run(stream)
    assert shown == ["one", "two", "\ufffd broken", "last"]
    assert (tmp_path / "x.log").read_bytes() == b"one\ntwo\r\n\xff broken\nlast"


async def test_pump_breaks_an_endless_line_instead_of_keeping_it(tmp_path: Path) -> None:
    shown: list[str] = []
    stream = asyncio.StreamReader()
    stream.feed_data(b"x" * 100_000)
    stream.feed_eof()
    await LogPump(tmp_path / "x.log", shown.append).run(stream)
    assert "".join(shown) == "x" * 100_000


async def test_pump_without_a_log_file_still_empties_the_pipe_and_shows_its_lines(tmp_path: Path) -> None:
    shown: list[str] = []
    stream = asyncio.StreamReader()
    stream.feed_data(b"one\n")
    stream.feed_eof()
    await LogPump(tmp_path / "gone" / "x.log", shown.append).run(stream)
    assert shown == ["one"]


def test_console_names_the_server_on_every_line(capsys: pytest.CaptureFixture[str]) -> None:
    with ServerConsole() as console:
        console.say("judge", "hello")
        console.say("", "all ready")
    assert capsys.readouterr().out == "[judge] hello\nall ready\n"


def test_console_that_nobody_reads_any_more_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("sys.stdout", Closed())
    with ServerConsole() as console:
        console.say("judge", "one")
        console.say("judge", "two")


def test_console_in_a_poor_encoding_shows_what_it_can(monkeypatch: pytest.MonkeyPatch) -> None:
    poor = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", poor)
    with ServerConsole() as console:
        console.say("judge", "25 \u00b0C")
    assert poor.buffer.getvalue() == b"[judge] 25 \\xb0C\n"  # type: ignore[attr-defined]


def test_console_that_isnt_there_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    with ServerConsole() as console:
        console.say("judge", "one")


def test_console_that_is_blocked_drops_and_counts_servers_lines_but_never_the_launchers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Blocked(io.StringIO):
        def write(self, text: str) -> int:
            writing.set()
            goes_on.wait()
            return super().write(text)

    out, writing, goes_on = Blocked(), threading.Event(), threading.Event()
    monkeypatch.setattr("sys.stdout", out)
    with ServerConsole() as console:
        console.say("judge", "first")
        writing.wait()
        for _ in range(3):
            console.say("judge", "x" * (MAX_WAITING_CHARACTERS - 100))
        console.say("", "all ready")
        goes_on.set()
    first, second, ready, dropped = out.getvalue().splitlines()
    assert (first, len(second), ready) == ("[judge] first", MAX_WAITING_CHARACTERS - 92, "all ready")
    assert dropped.startswith("2 lines weren't shown")
