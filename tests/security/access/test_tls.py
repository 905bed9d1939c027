"""A run with TLS: its servers prove who they are, and its callers check it; nothing of it is sent in the clear."""

import asyncio
import json
import shutil
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import trustme

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.wire.failure import RolloutError
from tests.bounds import HANGS_AFTER_S
from tests.certificates import make_certificates, replace_files, tls_overrides
from tests.chaos.processes import BIN, Place, wait_until_ready
from tests.cluster.conftest import COUNTER_AGENT, COUNTER_SERVER, write_counter_tasks
from tests.free_port import free_port
from tests.run_access import run_token

pytestmark = pytest.mark.integration
CONFIGS = (
    "resources_servers/example_stateful_counter/configs/stateful_counter.yaml",
    "responses_api_models/scripted_model/configs/scripted_model.yaml",
)
NOT_TRUSTED = r"the certificate of 127\.0\.0\.1:\d+ is not trusted: unable to get local issuer"
TWO_WORKERS = f"{COUNTER_SERVER}.resources_servers.example_stateful_counter.num_workers=2"
TOO_LONG = f"{COUNTER_SERVER}.resources_servers.example_stateful_counter.max_request_bytes=100000"


@dataclass(frozen=True)
class RunWithTls:
    """A run whose counter has two workers, so that requests of a session are passed on between them."""

    place: Place
    head_port: int
    files: dict[str, Path]
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


async def wait_for_text(log: Path, text: str) -> None:
    async with asyncio.timeout(HANGS_AFTER_S):
        while text not in log.read_text():
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def run() -> Iterator[RunWithTls]:
    folder = Path(tempfile.mkdtemp(prefix="tls-"))
    files = make_certificates(folder / "certificates", "127.0.0.1")
    place, port, log = Place(folder, folder / "home"), free_port(), folder / "run.log"
    arguments = (*CONFIGS, f"head_server.port={port}", TWO_WORKERS, TOO_LONG, *tls_overrides(files))
    process = place.start("ng_run", *arguments, log=log)
    try:
        wait_until_ready(process, log)
        yield RunWithTls(place, port, files, log)
    finally:
        process.terminate()
        process.wait(timeout=HANGS_AFTER_S)
        shutil.rmtree(folder)


@pytest.mark.parametrize("num_drivers", [1, 2])
def test_stateful_rollouts_are_all_right(run: RunWithTls, tmp_path: Path, num_drivers: int) -> None:
    tasks, output = write_counter_tasks(tmp_path / "tasks.jsonl", 20, latency_s=0.0), tmp_path / "rollouts.jsonl"
    done = run.result_of(
        "ng_collect_rollouts",
        f"head_server.port={run.head_port}",
        f"+agent_name={COUNTER_AGENT}",
        f"+input_jsonl_fpath={tasks}",
        f"+output_jsonl_fpath={output}",
        f"+num_drivers={num_drivers}",
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["reward"] for line in output.read_text().splitlines()] == [1.0] * 20


def test_status_and_metrics_reach_every_server(run: RunWithTls) -> None:
    status = run.result_of("ng_status")
    assert (status.returncode, status.stdout.count(" ready")) == (0, 4), status.stdout
    assert f"head https://127.0.0.1:{run.head_port}" in status.stdout
    context = ssl.create_default_context(cafile=run.ca)
    headers = {"authorization": f"Bearer {run.token}"}
    page = httpx.get(f"https://127.0.0.1:{run.head_port}/metrics", verify=context, headers=headers).text
    up = [line.rpartition(" ")[2] for line in page.splitlines() if line.startswith("nemo_gym_server_up{")]
    assert up == ["1.0"] * 4


async def test_a_server_with_a_certificate_of_somebody_else_is_not_called(run: RunWithTls, tmp_path: Path) -> None:
    client, other = run.client(), make_certificates(tmp_path, "127.0.0.1")["ca"]
    with pytest.raises(ConfigError, match=NOT_TRUSTED):
        run.client(ca=other)
    stranger = ServerClient(client.head_server_config, client.global_config_dict, RunAccess(run.token, str(other)))
    try:
        with pytest.raises(RolloutError, match=NOT_TRUSTED) as caught:
            await stranger.get(COUNTER_AGENT, "/health")
        assert caught.value.failure.kind == "transport_unreachable"
        assert caught.value.failure.delivery == "not_sent"
        assert (await client.get(COUNTER_AGENT, "/health")).ok
    finally:
        await close_global_aiohttp_client()


def test_a_caller_that_does_not_know_of_it_is_told_what_to_set(run: RunWithTls, tmp_path: Path) -> None:
    asked = ("ng_collect_rollouts", f"head_server.port={run.head_port}", f"+agent_name={COUNTER_AGENT}")
    tasks = write_counter_tasks(tmp_path / "tasks.jsonl", 1, latency_s=0.0)
    files = (f"+input_jsonl_fpath={tasks}", f"+output_jsonl_fpath={tmp_path / 'rollouts.jsonl'}")
    elsewhere = {"NEMO_GYM_HOME": str(tmp_path), "NEMO_GYM_RUN_TOKEN": run.token}
    refused = run.result_of(*asked, *files, **elsewhere)
    assert (refused.returncode, "+tls.ca=..." in refused.stderr) == (2, True), refused.stderr
    in_home = {**elsewhere, "HOME": str(run.ca.parent)}
    assert run.result_of(*asked, *files, f'+tls.ca="~/{run.ca.name}"', **in_home).returncode == 0
    again = run.result_of(*asked, *files, "+overwrite=true", **elsewhere, NEMO_GYM_RUN_CA=str(run.ca))
    assert again.returncode == 0, again.stderr


def test_callers_that_never_shake_hands_keep_nobody_out(run: RunWithTls) -> None:
    port = run.port("policy_model")
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    try:
        context = ssl.create_default_context(cafile=run.ca)
        assert httpx.get(f"https://127.0.0.1:{port}/health", verify=context).status_code == 200
        silent[0].settimeout(HANGS_AFTER_S)
        assert silent[0].recv(1) == b""  # hung up on
    finally:
        for connection in silent:
            connection.close()


def test_a_body_that_is_too_long_is_refused_with_an_answer(run: RunWithTls) -> None:
    context = ssl.create_default_context(cafile=run.ca)
    url, headers = f"https://127.0.0.1:{run.port(COUNTER_SERVER)}/verify", {"authorization": f"Bearer {run.token}"}
    assert httpx.post(url, content=b"x" * 200_000, verify=context, headers=headers).status_code == 413


async def test_a_certificate_that_expires_is_named_everywhere_and_its_renewal_ends_that(
    run: RunWithTls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEMO_GYM_HOME", str(run.place.home))
    authority = trustme.CA()
    first = make_certificates(tmp_path / "first", "127.0.0.1", authority=authority)
    replace_files(run.files, first, "ca", "key", "cert")
    client = ServerClient.load_from_global_config(BaseServerConfig(host="127.0.0.1", port=run.head_port))
    assert (await client.get(COUNTER_AGENT, "/health")).ok
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    short = make_certificates(tmp_path / "short", "127.0.0.1", authority=authority, expires=end)
    replace_files(run.files, short, "key", "cert")
    expired = f"the certificate of {run.files['cert']} expired at {end:%Y-%m-%d %H:%M:%S} UTC; replace it and its key"

    await wait_for_text(run.log, f"policy_model can't be called: {expired}")
    status = await asyncio.to_thread(run.result_of, "ng_status")
    assert (status.returncode, expired.partition(";")[0] in status.stdout) == (1, True), status.stdout
    task = write_counter_tasks(tmp_path / "tasks.jsonl", 1, latency_s=0.0).read_bytes()
    try:
        # The connection to the agent is open, and the agent itself has to connect to the servers that it calls.
        answer = await client.post(COUNTER_AGENT, "/run", data=task, headers={"content-type": "application/json"})
        assert f"{COUNTER_SERVER} can't be called: {expired}" in await answer.text()
        with pytest.raises(RolloutError) as caught:
            await client.get("policy_model", "/health")
        assert f"policy_model can't be called: {expired}" in caught.value.failure.reason

        renewed = make_certificates(tmp_path / "renewed", "127.0.0.1", authority=authority)
        replace_files(run.files, renewed, "key", "cert")
        await wait_for_text(run.log, "policy_model answers again")
        assert (await client.get("policy_model", "/health")).ok
    finally:
        await close_global_aiohttp_client()


def test_rollouts_after_a_renewal_are_all_right(run: RunWithTls, tmp_path: Path) -> None:
    replace_files(run.files, make_certificates(tmp_path / "renewed", "127.0.0.1"), "ca", "key", "cert")
    tasks = write_counter_tasks(tmp_path / "tasks.jsonl", 5, latency_s=0.0)
    files = (f"+input_jsonl_fpath={tasks}", f"+output_jsonl_fpath={tmp_path / 'rollouts.jsonl'}")
    asked = ("ng_collect_rollouts", f"head_server.port={run.head_port}", f"+agent_name={COUNTER_AGENT}", *files)
    done = run.result_of(*asked)
    assert done.returncode == 0, done.stderr
