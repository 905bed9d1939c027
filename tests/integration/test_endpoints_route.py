"""The endpoints of a running `vllm_model` are changed over HTTP: in every worker, and by who has the run's token."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.free_port import free_port
from tests.integration.conftest import BIN, COMMAND_BOUND_S

pytestmark = pytest.mark.integration
WORKERS = 2
NEW = [f"http://127.0.0.1:{port}/v1" for port in (1, 2)]


@pytest.fixture
def server(project: Path, environment: dict[str, str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Start a model server with two workers; gives its URL and the headers with the run's token."""
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
        token = {"authorization": f"Bearer {Path(found.stdout.strip()).read_text().strip()}"}
        instances = httpx.get(f"http://127.0.0.1:{head}/server_instances", headers=token).json()
        yield next(one["url"] for one in instances if one["name"] == "policy_model"), token
    finally:
        process.terminate()
        process.wait(timeout=COMMAND_BOUND_S)


def test_endpoints_change_in_every_worker_and_only_with_the_token(server: tuple[str, dict[str, str]]) -> None:
    url, token = server
    refused = httpx.post(f"{url}/endpoints", json={"base_url": NEW})
    assert refused.status_code == 401
    lists = _listed_by_worker(url, token)
    assert lists == [["http://127.0.0.1:3/v1"]] * WORKERS
    answer = httpx.post(f"{url}/endpoints?only_here=true", json={"base_url": NEW[:1]}, headers=token)
    assert answer.status_code == 200, answer.text
    lists = _listed_by_worker(url, token)
    assert sorted(lists) == [NEW[:1], ["http://127.0.0.1:3/v1"]]
    answer = httpx.post(f"{url}/endpoints", json={"base_url": NEW}, headers=token)
    assert answer.status_code == 200, answer.text
    lists = _listed_by_worker(url, token)
    assert lists == [NEW] * WORKERS


def _listed_by_worker(url: str, token: dict[str, str]) -> list[list[str]]:
    # An id that names a worker leads to it.
    headers = [{**token, "x-nemo-gym-session-id": f"w{worker}-any"} for worker in range(WORKERS)]
    return [[one["url"] for one in httpx.get(f"{url}/endpoints", headers=each).json()] for each in headers]
