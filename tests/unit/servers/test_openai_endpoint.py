"""The client for model endpoints, against the scripted endpoint as a process: faults as they are on the wire."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nemo_gym.openai_utils import NeMoGymAsyncOpenAI, NeMoGymResponse
from nemo_gym.servers.http.retry import RetryLimit
from nemo_gym.wire.failure import Failure, RolloutError

SERVE = [sys.executable, "-m", "responses_api_models.scripted_model.serve", "--port", "0", "--config"]
SETTINGS = "model_name: scripted\napi_key: sk-canary\ndefault_answer: {message: hello}\n"
QUICK = RetryLimit("model_endpoint", 3, 5.0)
PARAMS: dict[str, Any] = {"input": "hi", "model": "scripted"}


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Two endpoints that want the key `sk-canary`."""
    config: Path = tmp_path_factory.mktemp("endpoint") / "settings.yaml"
    config.write_text(SETTINGS)
    processes = [subprocess.Popen([*SERVE, str(config)], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        yield [process.stdout.readline().removeprefix("listening on ").strip() for process in processes]  # type: ignore[union-attr]
    finally:
        for process in processes:
            process.kill()
            process.communicate()


class Endpoint:
    """Sets an endpoint's faults and reads how often it was asked."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.base_url = f"{address}/v1"

    def reset(self, *faults: dict[str, Any]) -> None:
        httpx.post(f"{self.address}/script/reset")
        httpx.put(f"{self.address}/script/faults", json=list(faults))

    @property
    def requests(self) -> int:
        return int(httpx.get(f"{self.address}/script/stats").json()["requests"])


@pytest.fixture
def endpoint(addresses: list[str]) -> Endpoint:
    """The first endpoint, without faults."""
    first = Endpoint(addresses[0])
    first.reset()
    return first


@pytest.fixture
def client(endpoint: Endpoint) -> NeMoGymAsyncOpenAI:
    """A client of it that has the key."""
    return NeMoGymAsyncOpenAI(endpoint.base_url, "sk-canary", name="policy_model", limit=QUICK)


async def failure_of(client: NeMoGymAsyncOpenAI) -> Failure:
    with pytest.raises(RolloutError) as caught:
        await client.create_response(**PARAMS)
    assert "canary" not in caught.value.failure.model_dump_json()
    return caught.value.failure


async def test_a_response_and_a_completion_are_the_endpoints_own_objects(client: NeMoGymAsyncOpenAI) -> None:
    response = await client.create_response(**PARAMS)
    assert NeMoGymResponse.model_validate(response).output_text == "hello"
    messages = [{"role": "user", "content": "hi"}]
    completion = await client.create_chat_completion(messages=messages, model="scripted")
    assert completion["choices"][0]["message"]["content"] == "hello"


async def test_429_is_tried_again_after_the_time_it_asks_for(client: NeMoGymAsyncOpenAI, endpoint: Endpoint) -> None:
    endpoint.reset({"kind": "status", "status": 429, "headers": {"Retry-After": "0.4"}, "on_requests": [1]})
    began = time.monotonic()
    await client.create_response(**PARAMS)
    assert 0.4 <= time.monotonic() - began < 2
    assert endpoint.requests == 2


async def test_a_retry_after_beyond_the_bound_is_not_waited_for(client: NeMoGymAsyncOpenAI, endpoint: Endpoint) -> None:
    endpoint.reset({"kind": "status", "status": 429, "headers": {"Retry-After": "60"}})
    failure = await failure_of(client)
    assert (failure.kind, failure.terminal, endpoint.requests) == ("model_rate_limited", False, 1)


async def test_500_is_tried_again(client: NeMoGymAsyncOpenAI, endpoint: Endpoint) -> None:
    endpoint.reset({"kind": "status", "status": 500, "on_requests": [1]})
    await client.create_response(**PARAMS)
    assert endpoint.requests == 2


async def test_429_and_5xx_share_one_counter_and_the_bound_is_named(
    client: NeMoGymAsyncOpenAI, endpoint: Endpoint
) -> None:
    endpoint.reset(
        {"kind": "status", "status": 429, "on_requests": [1]}, {"kind": "status", "status": 503, "on_requests": [2, 3]}
    )
    failure = await failure_of(client)
    assert (failure.kind, endpoint.requests) == ("model_unavailable", 3)
    assert "attempt 3; bound: 3 attempts within 5 s" in failure.reason
    assert failure.origin is not None
    assert (failure.origin.server, failure.origin.status) == ("policy_model", 503)


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        pytest.param({"status": 401}, "model_auth", id="401"),
        pytest.param({"status": 429, "code": "insufficient_quota"}, "model_quota_exhausted", id="quota"),
        pytest.param({"status": 400, "code": "context_length_exceeded"}, "context_length_exceeded", id="overflow"),
        pytest.param({"status": 400, "message": "no such parameter"}, "model_bad_request", id="bad-request"),
    ],
)
async def test_what_another_attempt_would_meet_again_ends_at_once(
    client: NeMoGymAsyncOpenAI, endpoint: Endpoint, fault: dict[str, Any], kind: str
) -> None:
    endpoint.reset({"kind": "status", **fault})
    failure = await failure_of(client)
    assert (failure.kind, failure.terminal, endpoint.requests) == (kind, True, 1)
    assert failure.upstream_body


async def test_a_wrong_key_is_model_auth_and_the_key_is_in_no_error(endpoint: Endpoint) -> None:
    body = {"error": {"message": f"{'x' * 450} key sk-wrong-canary is unknown", "code": "invalid_api_key"}}
    endpoint.reset({"kind": "status", "status": 401, "body": body})
    failure = await failure_of(NeMoGymAsyncOpenAI(endpoint.base_url, "sk-wrong-canary"))
    assert failure.kind == "model_auth"
    assert "sk-wrong" not in failure.model_dump_json()


@pytest.mark.parametrize(
    "limit_bytes", [pytest.param(493, id="cut-inside-the-key"), pytest.param(450, id="cut-after-the-key")]
)
async def test_a_key_at_the_edge_of_what_is_shown_does_not_leak_in_part(endpoint: Endpoint, limit_bytes: int) -> None:
    body = {"error": {"message": "x" * limit_bytes + "sk-partial-key"}}
    endpoint.reset({"kind": "status", "status": 401, "body": body})
    failure = await failure_of(NeMoGymAsyncOpenAI(endpoint.base_url, "sk-partial-key"))
    assert "sk-" not in failure.model_dump_json()


async def test_a_web_page_is_bad_output(client: NeMoGymAsyncOpenAI, endpoint: Endpoint) -> None:
    endpoint.reset({"kind": "html"})
    failure = await failure_of(client)
    assert (failure.kind, endpoint.requests) == ("model_bad_output", 1)
    assert "answered no JSON" in failure.reason


@pytest.mark.parametrize("kind", ["half_body", "drop_after_headers"])
async def test_a_broken_answer_is_asked_for_again(client: NeMoGymAsyncOpenAI, endpoint: Endpoint, kind: str) -> None:
    endpoint.reset({"kind": kind, "on_requests": [1]})
    await client.create_response(**PARAMS)
    assert endpoint.requests == 2


@pytest.mark.parametrize("kind", ["half_body", "drop_after_headers"])
async def test_an_endpoint_that_always_breaks_off_is_transport_dropped(
    client: NeMoGymAsyncOpenAI, endpoint: Endpoint, kind: str
) -> None:
    endpoint.reset({"kind": kind})
    failure = await failure_of(client)
    assert (failure.kind, endpoint.requests) == ("transport_dropped", 3)


async def test_several_endpoints_are_asked_in_turn(addresses: list[str]) -> None:
    endpoints = [Endpoint(address) for address in addresses]
    for endpoint in endpoints:
        endpoint.reset()
    client = NeMoGymAsyncOpenAI([endpoint.base_url + "/" for endpoint in endpoints], "sk-canary")
    for _ in range(4):
        await client.create_response(**PARAMS)
    assert [endpoint.requests for endpoint in endpoints] == [2, 2]


async def test_a_retry_goes_to_the_next_endpoint(addresses: list[str]) -> None:
    endpoints = [Endpoint(address) for address in addresses]
    endpoints[0].reset({"kind": "status", "status": 500})
    endpoints[1].reset()
    client = NeMoGymAsyncOpenAI([endpoint.base_url for endpoint in endpoints], "sk-canary")
    await client.create_response(**PARAMS)
    assert [endpoint.requests for endpoint in endpoints] == [1, 1]
