"""A run with TLS: its servers prove who they are, and its callers check it; nothing of it is sent in the clear."""

import asyncio
import json
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from omegaconf import DictConfig
from starlette.responses import PlainTextResponse

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.global_config import ca_in
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.tls import TlsFiles, server_context_in_environment
from nemo_gym.servers.serving.connections.listeners import bind
from nemo_gym.servers.serving.serve import ServedApp, hosted
from nemo_gym.wire.failure import RolloutError
from tests.bounds import HANGS_AFTER_S
from tests.certificates import make_certificates, tls_overrides
from tests.chaos.processes import BIN, ROOT, Place
from tests.cluster.conftest import COUNTER_AGENT, COUNTER_SERVER, write_counter_tasks
from tests.free_port import free_port
from tests.security.access.tls_run import CONFIGS, RunWithTls, run_with_tls

pytestmark = pytest.mark.integration
NOT_TRUSTED = r"the certificate of 127\.0\.0\.1:\d+ is not trusted: unable to get local issuer"
TWO_WORKERS = f"{COUNTER_SERVER}.resources_servers.example_stateful_counter.num_workers=2"
TOO_LONG = f"{COUNTER_SERVER}.resources_servers.example_stateful_counter.max_request_bytes=100000"


@pytest.fixture(scope="module")
def run() -> Iterator[RunWithTls]:
    with run_with_tls(TWO_WORKERS, TOO_LONG) as started:
        yield started


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


def refusal(tmp_path: Path, *overrides: str) -> str:
    """Return what a run that is refused says."""
    place = Place(tmp_path, tmp_path / "home")
    command = [str(BIN / "ng_run"), *CONFIGS, f"head_server.port={free_port()}", *overrides]
    done = subprocess.run(
        command, cwd=ROOT, env=place.environment, capture_output=True, text=True, timeout=HANGS_AFTER_S
    )
    assert done.returncode == 2, done.stdout + done.stderr
    return done.stderr


def test_files_that_no_caller_would_accept_are_refused_before_anything_starts(tmp_path: Path) -> None:
    files = make_certificates(tmp_path / "elsewhere", "10.0.0.7")
    said = refusal(tmp_path, *tls_overrides(files))
    assert "as 127.0.0.1: IP address mismatch" in said
    assert "127.0.0.1 among its names" in said
    other = make_certificates(tmp_path / "other", "127.0.0.1")
    assert "unable to get local issuer" in refusal(tmp_path, *tls_overrides({**other, "ca": files["ca"]}))
    assert "KEY_VALUES_MISMATCH" in refusal(tmp_path, *tls_overrides({**other, "key": files["key"]}))
    assert "No such file" in refusal(tmp_path, *tls_overrides({**other, "cert": tmp_path / "none.pem"}))
    assert "set tls.cert and tls.key" in refusal(tmp_path, f"+tls.ca={files['ca']}")
    assert "tls.certificate" in refusal(tmp_path, *tls_overrides(other), "+tls.certificate=x")


def test_a_head_without_tls_is_said_to_have_none(tmp_path: Path) -> None:
    ca = make_certificates(tmp_path, "127.0.0.1")["ca"]
    with closing(bind("127.0.0.1", 0)) as listener:
        answering = Thread(target=answer_in_the_clear, args=(listener,))
        answering.start()
        head = BaseServerConfig(host="127.0.0.1", port=listener.getsockname()[1])
        with pytest.raises(ConfigError, match="for a run without TLS leave"):
            ServerClient.load_from_global_config(head, RunAccess("token", str(ca)))
        answering.join()


def answer_in_the_clear(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")


def connected(port: int, context: ssl.SSLContext) -> ssl.SSLSocket:
    """Return a connection on which one request was answered; it isn't read any more."""
    connection = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="127.0.0.1")
    connection.sendall(f"GET / HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n\r\n".encode())
    assert connection.recv(10_000).startswith(b"HTTP/1.1 200")
    return connection


async def test_a_server_that_stops_waits_neither_for_idle_callers_nor_for_handshakes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    files = make_certificates(tmp_path, "127.0.0.1")
    tls = TlsFiles(*(str(files[name]) for name in ("cert", "key", "ca")))
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server = hosted(ServedApp(PlainTextResponse("here"), [listener]), None, lifespan="off", tls=tls.server_context())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.is_up.wait()
    idle = await asyncio.to_thread(connected, port, ssl.create_default_context(cafile=files["ca"]))
    silent = socket.create_connection(("127.0.0.1", port), timeout=5)  # less than a handshake may take
    with closing(idle), closing(silent):
        await asyncio.sleep(0.1)
        server.should_exit = True
        await serving
        assert await asyncio.to_thread(silent.recv, 1) == b""
    listener.close()
    assert "graceful shutdown exceeded" not in capfd.readouterr().err


def test_a_key_that_is_encrypted_is_refused_instead_of_asking_for_its_password(tmp_path: Path) -> None:
    files = make_certificates(tmp_path, "127.0.0.1")
    key = load_pem_private_key(files["key"].read_bytes(), None)
    encryption = BestAvailableEncryption(b"secret")
    files["key"].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, encryption))
    with pytest.raises(ConfigError, match="the key is encrypted"):
        TlsFiles(*(str(files[name]) for name in ("cert", "key", "ca"))).require_valid_for(["127.0.0.1"])


def test_a_certificate_without_a_key_is_a_mistake_not_plain_http(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEMO_GYM_RUN_CERT", "cert.pem")
    with pytest.raises(ConfigError, match="NEMO_GYM_RUN_KEY is not set"):
        server_context_in_environment()


def test_callers_find_the_authority_in_the_home_folder_and_in_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    file = make_certificates(tmp_path / "certificates", "127.0.0.1")["ca"]
    for written in ("~/certificates/ca.pem", "certificates/ca.pem", str(file)):
        assert ca_in(DictConfig({"tls": {"ca": written}})) == str(file)
    assert ca_in(DictConfig({})) is None
