"""A recording replayed as an endpoint, and bodies by format, without an engine."""

import httpx
import pytest

from tests.engines.recordings import FOLDER, ReplayApp, load

ENGINE = "vllm_0_32_0"


def _client(app: ReplayApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://recorded")


async def test_replay_of_a_recorded_request_gives_the_engines_answer() -> None:
    recording = load(ENGINE)["chat_tool_call"]
    exchange = recording.exchanges[0]
    async with _client(ReplayApp([recording])) as client:
        response = await client.post(exchange.call.path, json=exchange.call.body)
    assert response.json() == exchange.answer.body
    assert response.json()["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "get_weather"


async def test_replay_of_a_recorded_refusal_gives_its_status() -> None:
    recording = load(ENGINE)["error_prompt_too_long"]
    async with _client(ReplayApp([recording])) as client:
        response = await client.post(recording.exchanges[0].call.path, json=recording.exchanges[0].call.body)
    assert response.status_code == 400
    assert "maximum context length" in response.json()["error"]["message"]


async def test_replay_of_a_request_asked_twice_gives_both_answers_in_order() -> None:
    recording = load(ENGINE)["chat_cached_prompt"]
    async with _client(ReplayApp([recording])) as client:
        answers = [await client.post(exchange.call.path, json=exchange.call.body) for exchange in recording.exchanges]
    cached = [answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"] for answer in answers]
    assert cached[0] == 0 < cached[1]


async def test_replay_ignores_the_keys_it_is_told_to() -> None:
    recording = load(ENGINE)["chat_plain"]
    body = {**dict(recording.exchanges[0].call.body), "temperature": 0.7, "seed": 3}  # type: ignore[arg-type]
    app = ReplayApp([recording], ignoring={"temperature", "seed"})
    async with _client(app) as client:
        response = await client.post("/v1/chat/completions", json=body)
    assert response.status_code == 200
    assert app.calls[0].body == body


async def test_replay_of_an_unknown_request_says_what_was_recorded() -> None:
    async with _client(ReplayApp([load(ENGINE)["health"]])) as client:
        response = await client.post("/v1/chat/completions", json={"messages": []})
    assert response.status_code == 501
    assert "GET /health (health)" in response.json()["error"]["message"]


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.json")), ids=lambda path: path.stem)
def test_recording_is_readable_and_says_where_it_comes_from(path) -> None:  # type: ignore[no-untyped-def]
    recording = load(str(path.parent.relative_to(FOLDER)))[path.stem]
    assert (recording.source is None) != (recording.profile is None)
    assert recording.exchanges
