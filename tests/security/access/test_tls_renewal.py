"""Certificates that expire or are replaced while servers present them and callers check them."""

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from starlette.responses import PlainTextResponse

from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.runs.tls import TlsFiles, client_context
from nemo_gym.servers.serving.connections.listeners import bind
from nemo_gym.servers.serving.serve import ServedApp, hosted
from nemo_gym.wire.failure import RolloutError
from tests.bounds import HANGS_AFTER_S
from tests.certificates import make_certificates
from tests.cluster.conftest import COUNTER_AGENT, COUNTER_SERVER, write_counter_tasks
from tests.security.access.tls_run import RunWithTls, run_with_tls

pytestmark = pytest.mark.integration


def replace(files: dict[str, Path], new: dict[str, Path], *names: str) -> None:
    """Rename new files into the place of others, as certbot does."""
    for name in names:
        os.replace(new[name], files[name])


async def said_in(log: Path, text: str) -> str:
    """Return the line of a log with this text."""
    async with asyncio.timeout(HANGS_AFTER_S):
        while True:
            lines = [line for line in log.read_text().splitlines() if text in line]
            if lines:
                return lines[0]
            await asyncio.sleep(0.1)


@pytest.fixture(scope="module")
def run() -> Iterator[RunWithTls]:
    with run_with_tls() as started:
        yield started


async def test_a_certificate_that_expires_is_named_everywhere_and_its_renewal_ends_that(
    run: RunWithTls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEMO_GYM_HOME", str(run.place.home))
    client = ServerClient.load_from_global_config(BaseServerConfig(host="127.0.0.1", port=run.head_port))
    assert (await client.get(COUNTER_AGENT, "/health")).ok
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    short = make_certificates(tmp_path / "short", "127.0.0.1", authority=run.authority, expires=end)
    replace(run.files, short, "key", "cert")
    expired = f"the certificate of {run.files['cert']} expired at {end:%Y-%m-%d %H:%M:%S} UTC; replace it and its key"

    await said_in(run.log, f"{COUNTER_SERVER} can't be called: {expired}")
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

        renewed = make_certificates(tmp_path / "renewed", "127.0.0.1", authority=run.authority)
        replace(run.files, renewed, "key", "cert")
        await said_in(run.log, f"{COUNTER_SERVER} answers again")
        assert (await client.get("policy_model", "/health")).ok
    finally:
        await close_global_aiohttp_client()


def test_rollouts_after_a_renewal_are_all_right(run: RunWithTls, tmp_path: Path) -> None:
    other = make_certificates(tmp_path / "other", "127.0.0.1")
    replace(run.files, other, "ca", "key", "cert")
    tasks = write_counter_tasks(tmp_path / "tasks.jsonl", 5, latency_s=0.0)
    files = (f"+input_jsonl_fpath={tasks}", f"+output_jsonl_fpath={tmp_path / 'rollouts.jsonl'}")
    asked = ("ng_collect_rollouts", f"head_server.port={run.head_port}", f"+agent_name={COUNTER_AGENT}", *files)
    done = run.result_of(*asked)
    assert done.returncode == 0, done.stderr
    assert run.result_of("ng_status").returncode == 0


@dataclass
class Served:
    """A server of this process, and the serial numbers of its certificates."""

    port: int
    files: dict[str, Path]

    async def presented(self) -> str:
        """Return the serial number that a new connection is shown, checked by the authority of the moment."""
        async with asyncio.timeout(HANGS_AFTER_S):
            context = client_context(str(self.files["ca"]))
            _, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        serial = writer.get_extra_info("peercert")["serialNumber"]
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return str(serial)


@asynccontextmanager
async def served(files: dict[str, Path]) -> AsyncIterator[Served]:
    context = TlsFiles(*(str(files[name]) for name in ("cert", "key", "ca"))).server_context()
    listener = bind("127.0.0.1", 0)
    server = hosted(ServedApp(PlainTextResponse("here"), [listener]), None, lifespan="off", tls=context)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.is_up.wait()
    try:
        yield Served(listener.getsockname()[1], files)
    finally:
        server.should_exit = True
        await serving
        listener.close()


def write_the_first_half(files: dict[str, Path], new: dict[str, Path]) -> None:
    for name in ("cert", "key"):
        content = new[name].read_bytes()
        files[name].write_bytes(content[: len(content) // 2])


def replace_the_certificate_alone(files: dict[str, Path], new: dict[str, Path]) -> None:
    files["cert"].write_bytes(new["cert"].read_bytes())


def remove_the_key(files: dict[str, Path], new: dict[str, Path]) -> None:
    files["key"].unlink()


@pytest.mark.parametrize("spoil", [write_the_first_half, replace_the_certificate_alone, remove_the_key])
async def test_a_pair_that_cannot_be_used_is_not_taken_until_it_is_whole(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Callable[[dict[str, Path], dict[str, Path]], None]
) -> None:
    authority = trustme.CA()
    files = make_certificates(tmp_path / "used", "127.0.0.1", authority=authority)
    new = make_certificates(tmp_path / "new", "127.0.0.1", authority=authority)
    async with served(files) as server:
        first = await server.presented()
        spoil(files, new)
        assert [await server.presented() for _ in range(3)] == [first] * 3
        (said,) = (record.getMessage() for record in caplog.records if record.name == "nemo_gym.tls")
        assert said.startswith(f"can't load a certificate and its key from {files['cert']}, {files['key']}: ")
        assert said.endswith("; what was there before stays in use")
        replace(files, new, "key", "cert")
        assert await server.presented() != first


async def test_callers_take_a_new_authority_and_keep_the_old_while_it_is_written(tmp_path: Path) -> None:
    files = make_certificates(tmp_path / "used", "127.0.0.1")
    new = make_certificates(tmp_path / "new", "127.0.0.1")
    both = files["ca"].read_bytes() + new["ca"].read_bytes()
    async with served(files) as server:
        first = await server.presented()
        files["ca"].write_bytes(both[:-30])
        assert await server.presented() == first
        files["ca"].write_bytes(both)
        assert await server.presented() == first
        replace(files, new, "key", "cert")
        assert await server.presented() != first
        replace(files, new, "ca")
        await server.presented()
        stays = make_certificates(tmp_path / "stays", "127.0.0.1")
        replace(files, stays, "ca")
        with pytest.raises(ssl.SSLCertVerificationError):
            await server.presented()
