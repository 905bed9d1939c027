"""`vllm_model` in front of scripted endpoints, over sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from unittest.mock import MagicMock

import httpx
import pytest
import pytest_asyncio

from nemo_gym.openai_utils import RawParams
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.serving.testing import serving_in_threads
from nemo_gym.wire.raw_json import encode
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig
from responses_api_models.vllm_model.app import VLLMModel, VLLMModelConfig

HERE: dict[str, Any] = {"host": "", "port": 0, "entrypoint": ""}


def model_server(addresses: Sequence[str], **settings: Any) -> VLLMModel:
    """Return a model server in front of endpoints, which waits little for them."""
    endpoint = {"base_url": [f"{address}/v1" for address in addresses], "api_key": "sk-canary", "model": "the-model"}
    config = VLLMModelConfig(**{**HERE, "name": "policy_model", "wait_for_engine_s": 0.2, **endpoint, **settings})
    return VLLMModel(config=config, server_client=MagicMock(spec=ServerClient))


@dataclass
class Endpoints:
    """Scripted endpoints and the model server in front of them."""

    addresses: list[str]
    model: VLLMModel

    async def ask(self, items: Any = "hi", **params: Any) -> dict[str, Any]:
        """Return the model server's Response."""
        answer: dict[str, Any] = json.loads(
            (await self.model.responses(RawParams(encode({"input": items, **params})))).json_text
        )
        return answer

    def requests(self, index: int = 0) -> list[dict[str, Any]]:
        """The bodies that an endpoint was asked with."""
        answer = httpx.get(f"{self.addresses[index]}/script/requests").json()
        return [request["body"] for request in answer["requests"]]

    def update_weights(self, **update: Any) -> None:
        """Begin a weight update at the first endpoint."""
        httpx.post(f"{self.addresses[0]}/script/weights", json=update).raise_for_status()


@pytest.fixture
def start() -> Iterator[Callable[..., Endpoints]]:
    """Return a function from settings of `count` endpoints, and `server` settings, to the started endpoints."""
    with serving_in_threads() as serve:

        def begin(count: int = 1, server: dict[str, Any] | None = None, **settings: Any) -> Endpoints:
            addresses = []
            for number in range(count):
                config = ScriptedModelConfig(**HERE, name=f"scripted{number}", **{"apis": ["chat"], **settings})
                app = ScriptedModel(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver()
                addresses.append(f"http://127.0.0.1:{serve(app)}")
            return Endpoints(addresses, model_server(addresses, **(server or {})))

        yield begin


@pytest_asyncio.fixture(autouse=True)
async def _closed_client(start: Callable[..., Endpoints]) -> AsyncIterator[None]:
    # Before the servers stop: they wait for connections that are still open.
    yield
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()  # probes of endpoints that are down
    await close_global_aiohttp_client()
