"""All servers of a run in one process: each on its own port, and in memory for each other.

usage, by the launcher: python -m nemo_gym.launch.child -m nemo_gym.launch.colocated
Each server's script is run as `__main__`, as it would be in a process of its own; its `run_webserver` only says which
class it serves.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from pydantic import BaseModel
from starlette.types import ASGIApp

from nemo_gym.config.errors import ConfigError
from nemo_gym.launch.announced import announced
from nemo_gym.servers import server as server_module
from nemo_gym.servers.listeners import inherited_listeners
from nemo_gym.servers.serve import Seat, report_phase, serve_all
from nemo_gym.servers.server import SimpleServer
from nemo_gym.servers.worker import COLOCATED_SCRIPTS_ENV


def main() -> None:
    """Build every server, then serve them all on one event loop."""
    scripts: dict[str, str] = json.loads(os.environ[COLOCATED_SCRIPTS_ENV])
    listeners = inherited_listeners()
    ready: dict[str, ASGIApp] = {}
    seats: list[Seat] = []
    try:
        for name, script in scripts.items():
            seats.append(_seat_of(name, Path(script), listeners[name], ready))
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    report_phase("binding")
    serve_all(seats)


def _seat_of(name: str, script: Path, listeners: Sequence[socket.socket], ready: dict[str, ASGIApp]) -> Seat:
    # Built while its script is `__main__`: that is where the routes look up what an annotation names.
    with served_by(script) as server_class:
        server = server_class.from_configuration(name)
        server.server_client.use_local_apps(ready)
        app = announced(server.setup_webserver(), name, ready)
        return Seat(app, listeners, server.config.host, server.config.max_request_bytes)


@contextmanager
def served_by(script: Path) -> Iterator[type[SimpleServer]]:
    """Run a server's script as `__main__`, which it stays within the `with` block; gives the class it would serve.

    Raises:
        SystemExit: It serves none, or several.
    """
    found: list[type[SimpleServer]] = []
    main_before, modules_before = sys.modules["__main__"], set(sys.modules)
    folder = str(script.parent)
    sys.path.insert(0, folder)  # for what stands beside the script
    try:
        server_module.collected_classes = found
        _run_as_main(script)
        if len(found) != 1:
            raise SystemExit(f"{script} calls run_webserver {len(found)} times; colocated it must call it once")
        yield found[0]
    finally:
        server_module.collected_classes = None
        sys.modules["__main__"] = main_before
        sys.path.remove(folder)
        sys.path.append(folder)  # last: what a handler imports only when it is called
        _forget_neighbours(folder, modules_before)


def _run_as_main(script: Path) -> None:
    spec = spec_from_file_location("__main__", script)
    assert spec is not None
    assert spec.loader is not None
    sys.modules["__main__"] = module = module_from_spec(spec)
    spec.loader.exec_module(module)
    for model in vars(module).values():
        # Else it would look for the later classes it names when it is first used, in the `__main__` of that moment.
        if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__ == "__main__":
            model.model_rebuild(raise_errors=False)


def _forget_neighbours(folder: str, modules_before: set[str]) -> None:
    """Two components may each have a `tables.py` beside their script, and each means its own."""
    new = sys.modules.keys() - modules_before
    neighbours = {name for name in new if "." not in name and _lies_in(folder, name)}
    for name in new:
        if name.partition(".")[0] in neighbours:
            del sys.modules[name]


def _lies_in(folder: str, module: str) -> bool:
    file = getattr(sys.modules[module], "__file__", None) or ""
    return folder in (os.path.dirname(file), os.path.dirname(os.path.dirname(file)))


if __name__ == "__main__":
    main()
