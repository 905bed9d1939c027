"""All servers of a run in one process: each on its own port, and in memory for each other.

usage, by the launcher: python -m nemo_gym.launch.processes.child -m nemo_gym.launch.processes.colocated
"""

import json
import os
import socket
from collections.abc import MutableMapping, Sequence
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nemo_gym.config.env_names import COLOCATED_SCRIPTS_ENV
from nemo_gym.config.errors import ConfigError
from nemo_gym.launch.processes.component_module import served_class
from nemo_gym.servers.serving.connections.listeners import inherited_listeners
from nemo_gym.servers.serving.serve import ServedApp, report_phase, serve_all


def main() -> None:
    """Build every server, then serve them all on one event loop."""
    scripts: dict[str, str] = json.loads(os.environ[COLOCATED_SCRIPTS_ENV])
    listeners = inherited_listeners()
    started: dict[str, ASGIApp] = {}
    try:
        apps = [_served_app(name, Path(script), listeners[name], started) for name, script in scripts.items()]
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    report_phase("binding")
    serve_all(apps)


def _served_app(
    name: str, script: Path, listeners: Sequence[socket.socket], started: MutableMapping[str, ASGIApp]
) -> ServedApp:
    server = served_class(script).from_configuration(name)
    server.server_client.use_local_apps(started)
    app = _entering_when_started(server.setup_webserver(), name, started)
    return ServedApp(app, listeners, server.config.host, server.config.max_request_bytes)


def _entering_when_started(app: ASGIApp, name: str, started: MutableMapping[str, ASGIApp]) -> ASGIApp:
    """Return `app` as it is, except that it enters itself in `started` when its start-up is complete.

    Until then a call from another server (from a `startup`, say) goes to its socket, and waits there as usual.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        async def watch(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                started[name] = app
            await send(message)

        await app(scope, receive, watch if scope["type"] == "lifespan" else send)

    return serve


if __name__ == "__main__":
    main()
