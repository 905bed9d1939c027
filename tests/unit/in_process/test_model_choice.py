"""The ways to say which model is the policy."""

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.in_process.model_choice import model_block
from nemo_gym.servers.serving.testing import serve_in_thread
from responses_api_models.scripted_model.app import ScriptedModel, ScriptedModelConfig


def test_local_is_the_local_model() -> None:
    assert model_block("local") == {"responses_api_models": {"local_model": {"entrypoint": "app.py"}}}


def test_a_url_is_an_endpoint_whose_only_model_is_meant() -> None:
    config = ScriptedModelConfig(host="", port=0, entrypoint="", name="", model_name="the-one")
    with serve_in_thread(ScriptedModel(config=config).setup_webserver()) as port:
        url = f"http://127.0.0.1:{port}/v1"
        block = model_block(url)["responses_api_models"]["vllm_model"]
    assert (block["base_url"], block["model"], block["api_key"]) == (url, "the-one", "")


def test_a_url_where_nobody_answers_says_how_to_name_the_model() -> None:
    with pytest.raises(ConfigError, match="model_name"):
        model_block("http://127.0.0.1:9/v1")
    named = model_block("http://127.0.0.1:9/v1", "m", "k")["responses_api_models"]["vllm_model"]
    assert (named["model"], named["api_key"]) == ("m", "k")


def test_a_name_is_a_model_of_openai_and_wants_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"set OPENAI_API_KEY.*without a key: model=\"local\""):
        model_block("some-model")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    block = model_block("some-model")["responses_api_models"]["openai_model"]
    assert (block["openai_model"], block["openai_api_key"]) == ("some-model", "sk-of-the-environment")


def test_a_dictionary_is_the_block_of_a_server_with_or_without_its_kind() -> None:
    inner = {"vllm_model": {"base_url": "http://a", "model": "m"}}
    expected = {"entrypoint": "app.py", "base_url": "http://a", "model": "m"}
    assert model_block(inner) == model_block({"responses_api_models": inner})
    assert model_block(inner)["responses_api_models"]["vllm_model"] == expected
    with pytest.raises(ConfigError, match="one implementation"):
        model_block({"base_url": "http://a"})
