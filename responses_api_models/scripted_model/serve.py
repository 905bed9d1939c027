"""The scripted model as a plain endpoint: one process, no launcher.

    python -m responses_api_models.scripted_model.serve --port 0 --config rules.yaml

It prints `listening on http://HOST:PORT`, and ends on SIGTERM or Ctrl-C, or when the process that started it is gone.
"""

import argparse
import asyncio
import contextlib
import logging
import os
import resource
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import uvicorn
import uvloop
import yaml
from pydantic import ValidationError

from responses_api_models.scripted_model.endpoint import ScriptedEndpoint
from responses_api_models.scripted_model.settings import ScriptedSettings, load_settings

_BACKLOG = 16_384  # a benchmark opens all its connections at once; the kernel lowers this to its own limit
_PARENT_CHECK_S = 0.5
_BROKEN_ON_PURPOSE = "ASGI callable returned without completing response."


async def serve(
    settings: ScriptedSettings, listener: socket.socket, *, parent_pid: int, until_stdin_closes: bool = False
) -> None:
    """Serve until SIGTERM, SIGINT, or the end of the parent process.

    Args:
        settings: What to play.
        listener: A bound socket; closed at the end.
        parent_pid: The parent when this process started; another one later means that it is gone.
        until_stdin_closes: Also end when standard input reaches its end.
    """
    server = uvicorn.Server(_uvicorn_config(settings))
    watches = [asyncio.create_task(_end_with_parent(server, parent_pid))]
    if until_stdin_closes:
        watches.append(asyncio.create_task(_end_with_stdin(server)))
    try:
        await server.serve(sockets=[listener])
    finally:
        for watch in watches:
            watch.cancel()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status (2: a mistake in the arguments or the configuration)."""
    parent_pid = os.getppid()  # before the address is told: whoever reads it may be killed at once
    options = _parser().parse_args(arguments)
    try:
        settings = load_settings(options.config) if options.config else ScriptedSettings()
        # Bound and listening before the address is told: connections wait from here on, none is refused.
        listener = socket.create_server((options.host, options.port), backlog=_BACKLOG)
    except (OSError, OverflowError, yaml.YAMLError, ValidationError) as error:
        sys.stderr.write(f"scripted_model: {error}\n")
        return 2
    _prepare_process()
    host, port = listener.getsockname()[:2]
    sys.stdout.write(f"listening on http://{host}:{port}\n")
    sys.stdout.flush()
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, listener, parent_pid=parent_pid, until_stdin_closes=options.until_stdin_closes))
    return 0


def _uvicorn_config(settings: ScriptedSettings) -> uvicorn.Config:
    return uvicorn.Config(
        ScriptedEndpoint(settings),
        http="httptools",
        lifespan="off",
        access_log=False,
        log_config=None,
        backlog=_BACKLOG,
        timeout_keep_alive=75,  # longer than clients keep a connection: none is closed as a request is on its way
        timeout_graceful_shutdown=1,  # requests under a silent fault never finish by themselves
    )


def _prepare_process() -> None:
    """One descriptor for each connection, and no log line for each connection broken on purpose."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("uvicorn.error").addFilter(lambda line: line.getMessage() != _BROKEN_ON_PURPOSE)


async def _end_with_parent(server: uvicorn.Server, parent_pid: int) -> None:
    while os.getppid() == parent_pid:  # noqa: ASYNC110 - nothing tells a process that it became an orphan
        await asyncio.sleep(_PARENT_CHECK_S)
    server.should_exit = True


async def _end_with_stdin(server: uvicorn.Server) -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.read(65_536):
        pass
    server.should_exit = True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripted_model", description="OpenAI-compatible endpoint with a script.")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default 127.0.0.1)")
    parser.add_argument("--port", type=int, default=18_000, help="port; 0 takes a free one (default 18000)")
    parser.add_argument("--config", type=Path, help="YAML: settings, or an instance as ng_run takes it")
    parser.add_argument("--until-stdin-closes", action="store_true", help="also end when standard input is closed")
    parser.add_argument("--print-port", action="store_true", help="accepted for clarity; the address is always printed")
    return parser


if __name__ == "__main__":
    sys.exit(main())
