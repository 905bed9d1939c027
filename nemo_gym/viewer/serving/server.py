"""The viewer's process: listen on loopback, print the link, serve until a signal."""

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from nemo_gym import event_loop
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.servers.serving.authentication import TokenAuthMiddleware
from nemo_gym.servers.serving.connections.listeners import bind
from nemo_gym.servers.serving.serve import AppServer, uvicorn_config
from nemo_gym.signals import SignalWatch
from nemo_gym.viewer.library import Library
from nemo_gym.viewer.rollout.tokenizer import Tokenizer
from nemo_gym.viewer.serving.access import LinkAccess, PageHeaders
from nemo_gym.viewer.serving.app import viewer_app

HOST = "127.0.0.1"


def serve_viewer(path: Path, port: int, say: Callable[[str], None], tokenizer: Tokenizer | None = None) -> None:
    """Serve the viewer of a folder or a rollout file until Ctrl-C or SIGTERM.

    Args:
        port: 0 takes a free one.
        say: Gets the line with the link.
        tokenizer: For the texts of tokens.

    Raises:
        ConfigError: The port is taken.
    """
    event_loop.run(_serve(path, port, say, tokenizer))


async def _serve(path: Path, port: int, say: Callable[[str], None], tokenizer: Tokenizer | None) -> None:
    try:
        listener = bind(HOST, port)
    except OSError as error:
        what = f"port {port} can't be had: {error.strerror}"
        raise ConfigError(Mistake(what, where="port", fix="name another, or none for a free one")) from error
    port, token = listener.getsockname()[1], secrets.token_urlsafe(24)
    stopping = asyncio.Event()
    app = TokenAuthMiddleware(viewer_app(Library(path), stopping, tokenizer), token, HOST)
    server = AppServer(uvicorn_config(PageHeaders(LinkAccess(app, token, port))))
    with SignalWatch() as signals:
        serving = asyncio.ensure_future(server.serve(sockets=[listener]))
        up = asyncio.ensure_future(server.is_up.wait())
        waits: list[asyncio.Future[Any]] = [up, serving, signals.first]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        if up.done():
            say(f"viewer: http://{HOST}:{port}/?token={token}")
        await signals.first_or(serving)
        stopping.set()
        server.should_exit = True
        await signals.second_or(serving)
        server.force_exit = True
        up.cancel()
        with suppress(asyncio.CancelledError):
            await up
        await serving
