"""A run with TLS, as a process, with the files of its certificates."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.runs.access import RunAccess
from tests.bounds import HANGS_AFTER_S
from tests.certificates import make_certificates, tls_overrides
from tests.chaos.processes import BIN, Place, wait_until_ready
from tests.free_port import free_port
from tests.run_access import run_token

CONFIGS = (
    "resources_servers/example_stateful_counter/configs/stateful_counter.yaml",
    "responses_api_models/scripted_model/configs/scripted_model.yaml",
)


@dataclass(frozen=True)
class RunWithTls:
    """A run of the stateful counter; its authority can issue more certificates."""

    place: Place
    head_port: int
    files: dict[str, Path]
    authority: trustme.CA
    log: Path

    @property
    def ca(self) -> Path:
        return self.files["ca"]

    @property
    def token(self) -> str:
        return run_token(self.place.home)

    def client(self, ca: Path | None = None) -> ServerClient:
        head = BaseServerConfig(host="127.0.0.1", port=self.head_port)
        return ServerClient.load_from_global_config(head, RunAccess(self.token, str(ca or self.ca)))

    def port(self, server: str) -> int:
        return int(next(i.port for i in self.client().server_instances() if i.name == server))

    def result_of(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / arguments[0]), *arguments[1:]]
        environment = {**self.place.environment, **variables}
        return subprocess.run(
            command, cwd=self.place.folder, env=environment, capture_output=True, text=True, timeout=HANGS_AFTER_S
        )


@contextmanager
def run_with_tls(*overrides: str) -> Iterator[RunWithTls]:
    folder, authority = Path(tempfile.mkdtemp(prefix="tls-")), trustme.CA()
    files = make_certificates(folder / "certificates", "127.0.0.1", authority=authority)
    place, port, log = Place(folder, folder / "home"), free_port(), folder / "run.log"
    arguments = (*CONFIGS, f"head_server.port={port}", *overrides, *tls_overrides(files))
    process = place.start("ng_run", *arguments, log=log)
    try:
        wait_until_ready(process, log)
        yield RunWithTls(place, port, files, authority, log)
    finally:
        process.terminate()
        process.wait(timeout=HANGS_AFTER_S)
        shutil.rmtree(folder)
