"""The endpoints of a running `vllm_model` are changed over HTTP: in every worker, and by who has the run's token."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from nemo_gym.server_utils import SESSION_ID_HEADER, BaseServerConfig, ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.runs.access import RunAccess
from tests.free_port import free_port
from tests.integration.conftest import BIN, COMMAND_BOUND_S

pytestmark = pytest.mark.integration
WORKERS = 2
NEW = [f"http://127.0.0.1:{port}/v1" for port in (1, 2)]


@pytest.fixture
def server(project: Path, environment: dict[str, str]) -> Iterator[tuple[BaseServerConfig, str]]:
    """Start a model server with two workers; gives where the head listens, and the run's token."""
    head = free_port()
    values = ("policy_base_url=http://127.0.0.1:3/v1", "policy_api_key=''", "policy_model_name=m")
    process = subprocess.Popen(
        [
            str(BIN / "ng_run"),
            "responses_api_models/vllm_model/configs/vllm_model.yaml",
            *(f"+{value}" for value in values),
            f"++policy_model.responses_api_models.vllm_model.num_workers={WORKERS}",
            f"+head_server.port={head}",
        ],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert any("ready" in line for line in process.stdout)
        threading.Thread(target=process.stdout.read, daemon=True).start()
        status = [str(BIN / "ng_status"), f"+head_server.port={head}", "+token_file=true"]
        found = subprocess.run(status, cwd=project, env=environment, capture_output=True, text=True, check=True)
        yield BaseServerConfig(host="127.0.0.1", port=head), Path(found.stdout.strip()).read_text().strip()
    finally:
        process.terminate()
        process.wait(timeout=COMMAND_BOUND_S)


async def test_endpoints_change_in_every_worker_and_only_with_the_token(server: tuple[BaseServerConfig, str]) -> None:
    client = ServerClient.load_from_global_config(server[0], RunAccess(server[1]))
    async with httpx.AsyncClient() as stranger:
        refused = await stranger.post(f"{client.base_url('policy_model')}/endpoints", json={"base_url": NEW})
    assert refused.status_code == 401
    assert await _listed_by_worker(client) == [["http://127.0.0.1:3/v1"]] * WORKERS
    await _replace(client, "/endpoints?only_here=true", NEW[:1])
    assert sorted(await _listed_by_worker(client)) == [NEW[:1], ["http://127.0.0.1:3/v1"]]
    await _replace(client, "/endpoints", NEW)
    assert await _listed_by_worker(client) == [NEW] * WORKERS
    await close_global_aiohttp_client()


async def _replace(client: ServerClient, path: str, urls: list[str]) -> None:
    (await client.post("policy_model", path, json={"base_url": urls})).raise_for_status()


async def _listed_by_worker(client: ServerClient) -> list[list[str]]:
    # An id that names a worker leads to it.
    ids = [{SESSION_ID_HEADER: f"w{worker}-any"} for worker in range(WORKERS)]
    answers = [await client.get("policy_model", "/endpoints", headers=headers) for headers in ids]
    return [[one["url"] for one in await answer.json()] for answer in answers]
