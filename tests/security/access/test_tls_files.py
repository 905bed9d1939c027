"""Files of certificates and authorities: refused where they can't be used, and taken while a server runs."""

import asyncio
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from omegaconf import DictConfig
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.global_config import ca_in
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.http import address_book
from nemo_gym.servers.http.address_book import AddressBook
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.http.session_ids import IS_PLACED_KEY
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.addresses import PlacedWorker, ServerAddresses
from nemo_gym.servers.runs.refusal import certificate_mistake
from nemo_gym.servers.runs.tls import TlsFiles, client_context, server_context_in_environment
from nemo_gym.servers.serving.connections.listeners import bind
from nemo_gym.servers.serving.serve import ServedApp, hosted
from nemo_gym.wire.failure import RolloutError
from tests.bounds import HANGS_AFTER_S
from tests.certificates import make_certificates, replace_files, tls_overrides
from tests.chaos.processes import BIN, ROOT, Place
from tests.free_port import free_port

pytestmark = pytest.mark.integration
CONFIGS = (
    "resources_servers/example_stateful_counter/configs/stateful_counter.yaml",
    "responses_api_models/scripted_model/configs/scripted_model.yaml",
)


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
async def served(files: dict[str, Path], app: ASGIApp = PlainTextResponse("here")) -> AsyncIterator[Served]:
    context = TlsFiles(*(str(files[name]) for name in ("cert", "key", "ca"))).server_context()
    listener = bind("127.0.0.1", 0)
    server = hosted(ServedApp(app, [listener]), None, lifespan="off", tls=context)
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
        replace_files(files, new, "key", "cert")
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
        replace_files(files, new, "key", "cert")
        assert await server.presented() != first
        replace_files(files, new, "ca")
        await server.presented()
        stays = make_certificates(tmp_path / "stays", "127.0.0.1")
        replace_files(files, stays, "ca")
        with pytest.raises(ssl.SSLCertVerificationError):
            await server.presented()


async def test_an_expired_certificate_is_named_also_while_the_authority_is_replaced(tmp_path: Path) -> None:
    files = make_certificates(tmp_path, "127.0.0.1", expires=datetime.now(UTC) - timedelta(hours=1))
    access = RunAccess(None, str(files["ca"]), str(files["cert"]))
    async with served(files) as server:
        with pytest.raises(ssl.SSLCertVerificationError) as refused:
            await server.presented()
        asked = (refused.value, "127.0.0.1", server.port, access)
        assert f"{files['cert']} expired at 20" in (await asyncio.to_thread(certificate_mistake, *asked)).what
        files["ca"].unlink()
        said = (await asyncio.to_thread(certificate_mistake, *asked)).what
    assert said == f"the certificate of {files['cert']}, or that of an authority above it, has expired"


async def test_a_call_to_a_node_whose_certificate_expired_does_not_wait_for_another_address(tmp_path: Path) -> None:
    authority, past = trustme.CA(), datetime.now(UTC) - timedelta(hours=1)
    expired = make_certificates(tmp_path / "node", "127.0.0.1", authority=authority, expires=past)
    files = make_certificates(tmp_path / "head", "127.0.0.1", authority=authority)
    async with served(expired) as node:
        addresses = ServerAddresses(version=1, servers={"s": [PlacedWorker(url=f"https://127.0.0.1:{node.port}")]})
        async with served(files, JSONResponse(addresses.model_dump())) as head:
            block = {"resources_servers": {"s": {"host": "127.0.0.1", "port": node.port, IS_PLACED_KEY: True}}}
            address = BaseServerConfig(host="127.0.0.1", port=head.port)
            client = ServerClient(address, DictConfig({"s": block}), RunAccess(None, str(files["ca"])))
            try:
                async with asyncio.timeout(HANGS_AFTER_S):
                    with pytest.raises(RolloutError, match=r"s can't be called: the certificate of .* expired at 20"):
                        await client.get("s", "/health")
            finally:
                await close_global_aiohttp_client()


async def test_a_server_whose_address_is_not_known_is_missed_with_what_is_wrong_at_the_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(address_book, "COMES_BACK_WITHIN_S", 0.5)
    files = make_certificates(tmp_path, "127.0.0.1", expires=datetime.now(UTC) - timedelta(hours=1))
    async with served(files) as head:
        book = AddressBook(BaseServerConfig(host="127.0.0.1", port=head.port), RunAccess(None, str(files["ca"])))
        try:
            with pytest.raises(RolloutError, match=r"s has no address: .*the head doesn't say .*has expired"):
                await book.url_for("s", None)
        finally:
            await close_global_aiohttp_client()
