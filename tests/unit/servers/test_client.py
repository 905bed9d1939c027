"""The client by name, and how a server process is configured and says what is wrong."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import orjson
import pytest
from fastapi import FastAPI
from multidict import CIMultiDict

from nemo_gym.config.errors import ConfigError
from nemo_gym.server_utils import BaseServerConfig, HeadServer, HttpResponse, ServerClient, failure_of
from nemo_gym.servers.serving.testing import serve_in_thread
from responses_api_models.openai_model.app import OpenAIModel
from tests.run_facts import FixedFacts


async def test_an_unknown_server_is_named_with_what_is_known(client_for: Callable[..., ServerClient]) -> None:
    with pytest.raises(KeyError, match=r"'wether'.*weather"):
        await client_for(weather=1).get("wether", "/health")


def test_a_client_learns_the_run_from_its_head(serve_app: Callable[[FastAPI], int]) -> None:
    block = {"resources_servers": {"impl": {"host": "127.0.0.1", "port": 4321, "note": "größe"}}}
    head = HeadServer(BaseServerConfig(host="", port=0), FixedFacts({"weather": block}))
    address = BaseServerConfig(host="127.0.0.1", port=serve_app(head.setup_webserver()))
    client = ServerClient.load_from_global_config(address)
    assert client.base_url("weather") == "http://127.0.0.1:4321"
    assert client.global_config_dict["weather"]["resources_servers"]["impl"]["note"] == "größe"


def test_no_head_is_a_config_error_that_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="start the servers first, with ng_run"):
        ServerClient.load_from_global_config(BaseServerConfig(host="127.0.0.1", port=9))


@pytest.mark.parametrize(
    ("path", "status", "body", "kind"),
    [
        ("/verify", 500, b"Internal Server Error", "agent_error"),
        ("/verify", 404, b'{"detail":"Not Found"}', "input_invalid"),
        ("/verify", 409, b"{}", "agent_error"),
        ("/v1/responses", 429, b'{"error":{"message":"slow","code":"rate_limit_exceeded"}}', "model_rate_limited"),
        ("/v1/responses", 400, b'{"error":{"code":"context_length_exceeded"}}', "context_length_exceeded"),
        ("/v1/responses", 502, b"<html>", "model_unavailable"),
    ],
)
def test_an_error_answer_without_an_envelope_is_named_by_its_status(
    path: str, status: int, body: bytes, kind: str
) -> None:
    failure = failure_of(HttpResponse(status, CIMultiDict(), body, "POST", f"http://x:1{path}", server="quiz")).failure
    assert failure.kind == kind
    assert failure.reason.startswith(f"quiz answered {status} to POST")
    assert failure.origin is not None
    assert (failure.origin.server, failure.origin.status) == ("quiz", status)


@pytest.mark.parametrize("error", [{"kind": 3}, {"message": "x"}, "text", None])
def test_a_body_that_is_not_an_error_envelope_is_not_read_as_one(error: object) -> None:
    answer = HttpResponse(500, CIMultiDict(), orjson.dumps({"error": error}), "POST", "http://x:1/run")
    assert failure_of(answer).failure.kind == "agent_error"


def test_a_server_process_names_what_its_settings_lack_and_shows_no_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    block = "{entrypoint: app.py, host: h, port: 1, openai_base_url: u, openai_api_key: sk-canary, num_workers: 0}"
    monkeypatch.setenv("NEMO_GYM_CONFIG_DICT", f"policy: {{responses_api_models: {{openai_model: {block}}}}}")
    monkeypatch.setenv("NEMO_GYM_CONFIG_PATH", "policy")
    monkeypatch.setattr("nemo_gym.global_config._cached", None)
    with pytest.raises(SystemExit) as caught:
        OpenAIModel.run_webserver()
    text = capsys.readouterr().err
    assert caught.value.code == 2
    assert "policy.openai_model" in text
    assert "policy.num_workers" in text
    assert "canary" not in text


def test_an_app_that_does_not_start_in_its_thread_says_so() -> None:
    @asynccontextmanager
    async def no_database(_: FastAPI) -> AsyncIterator[None]:
        raise OSError("no database")
        yield

    with pytest.raises(RuntimeError, match="did not start"), serve_in_thread(FastAPI(lifespan=no_database)):
        pass
