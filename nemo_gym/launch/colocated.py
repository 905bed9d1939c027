"""All servers of a run in one process: each on its own port, and in memory for each other.

usage, by the launcher: python -m nemo_gym.launch.child -m nemo_gym.launch.colocated
Each server's script is run as `__main__`, as it would be in a process of its own; its `run_webserver` only says which
class it serves.
"""

import json
import os
import runpy
import sys
from pathlib import Path

from starlette.types import ASGIApp

from nemo_gym.config.errors import ConfigError
from nemo_gym.servers import server as server_module
from nemo_gym.servers.listeners import inherited_listeners
from nemo_gym.servers.serve import report_phase, serve_all
from nemo_gym.servers.server import SimpleServer

SCRIPTS_ENV = "NEMO_GYM_COLOCATED_SCRIPTS"
"""JSON in the environment: the script of every instance by name."""


def main() -> None:
    """Build every server, then serve them all on one event loop."""
    scripts: dict[str, str] = json.loads(os.environ[SCRIPTS_ENV])
    apps: dict[str, ASGIApp] = {}
    try:
        for name, script in scripts.items():
            server = class_served_by(Path(script)).from_configuration(name)
            server.server_client.use_local_apps(apps)
            apps[name] = server.setup_webserver()
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    report_phase("binding")
    listeners = inherited_listeners()
    serve_all([(apps[name], listeners[name]) for name in scripts])


def class_served_by(script: Path) -> type[SimpleServer]:
    """Run a server's script and return the class it would serve.

    Raises:
        SystemExit: It serves none, or several.
    """
    found: list[type[SimpleServer]] = []
    server_module.collected_classes = found
    sys.path.insert(0, str(script.parent))  # for what stands beside the script
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.path.remove(str(script.parent))
        server_module.collected_classes = None
    if len(found) != 1:
        raise SystemExit(f"{script} calls run_webserver {len(found)} times; colocated it must call it once")
    return found[0]


if __name__ == "__main__":
    main()
