"""Where `ng_run` prints: a reader that stops reading, a console that isn't there. Servers and their logs go on."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from nemo_gym.servers.runs.record import live_runs, runs
from tests.integration.launch.conftest import NG_RUN, SERVES

pytestmark = pytest.mark.integration
AddServer = Callable[..., Path]
LINES = 20_000
CHATTY = f"for number in range({LINES}): print('line', number, 'x' * 100)\nprint('all said', flush=True)\n"


@pytest.fixture
def started() -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Start a command; end it, and what it started, when the test is over."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(command: list[str], **streams: object) -> subprocess.Popen[bytes]:
        processes.append(subprocess.Popen(command, **streams))  # type: ignore[call-overload]
        return processes[-1]

    yield start
    for process in processes:
        if process.poll() is None:
            below = psutil.Process(process.pid).children(recursive=True)
            process.terminate()
            try:
                process.wait(timeout=8)
            except subprocess.TimeoutExpired:
                process.kill()
            for child in below:
                if child.is_running():
                    child.kill()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def wait_for(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def logged(server: str) -> str:
    return "".join(path.read_text() for path in runs().glob(f"*/logs/{server}.log"))


def test_console_that_nobody_reads_stops_neither_servers_nor_their_logs_nor_ng_stop(
    add_server: AddServer, free_port: int, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    config = add_server("chatty", CHATTY + SERVES)
    command = [sys.executable, "-c", NG_RUN, str(config), f"+head_server.port={free_port}"]
    run = started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: logged("chatty").endswith("all said\n"))
    assert logged("chatty").count("\n") == LINES + 1
    wait_for(lambda: any(record.has_head for record, _ in live_runs()))
    stop = "from nemo_gym.commands.servers.stop import main; main()"
    done = subprocess.run([sys.executable, "-c", stop], capture_output=True, text=True, timeout=20, check=False)
    assert "killed" not in done.stdout
    assert run.wait(timeout=10) == 130


def test_console_whose_reader_returns_says_how_many_lines_were_dropped(
    add_server: AddServer, free_port: int, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    chatty = CHATTY.replace(str(LINES), str(8 * LINES))
    config = add_server("chatty", chatty + SERVES)
    command = [sys.executable, "-c", NG_RUN, str(config), f"+head_server.port={free_port}"]
    run = started(command, stdout=subprocess.PIPE)
    wait_for(lambda: logged("chatty").endswith("all said\n"))
    assert run.stdout is not None
    line, shown = b"", 0
    while b"weren't shown" not in line:
        line = run.stdout.readline()
        assert line
        shown += line.startswith(b"[chatty] line ")
    assert 0 < shown < 8 * LINES
    assert int(line.split()[0]) >= 8 * LINES - shown
    assert b"log files have all lines" in line


def test_run_without_standard_streams_is_up_and_stops(
    add_server: AddServer, free_port: int, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    config = add_server("plain", "print('hello', flush=True)\n" + SERVES)
    command = ["bash", "-c", 'exec "$@" <&- >&- 2>&-', "bash", sys.executable, "-c", NG_RUN]
    run = started([*command, str(config), f"+head_server.port={free_port}"])
    wait_for(lambda: logged("plain") == "hello\n")
    wait_for(lambda: any(record.has_head for record, _ in live_runs()))
    os.kill(run.pid, 15)
    assert run.wait(timeout=10) == 130


@pytest.mark.parametrize(
    "shell", ['exec "$@" > /dev/full', 'exec "$@" > >(head -c 1 > /dev/null)'], ids=["full", "gone"]
)
def test_console_that_takes_nothing_more_is_given_up_without_a_word(
    shell: str, add_server: AddServer, free_port: int, started: Callable[..., subprocess.Popen[bytes]]
) -> None:
    config = add_server("chatty", "print('all said', flush=True)\n" + SERVES)
    command = ["bash", "-c", shell, "bash", sys.executable, "-c", NG_RUN, str(config), f"+head_server.port={free_port}"]
    run = started(command, stderr=subprocess.PIPE)
    wait_for(lambda: logged("chatty").endswith("all said\n"))
    wait_for(lambda: any(record.has_head for record, _ in live_runs()))
    os.kill(run.pid, 15)
    assert run.wait(timeout=10) == 130
    assert run.stderr is not None
    assert run.stderr.read() == b""
