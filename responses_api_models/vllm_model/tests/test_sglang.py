"""Token data from SGLang, as its documentation says that it answers."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.models.chat.tools import responses_tools
from nemo_gym.openai_utils import RawParams
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from nemo_gym.servers.serving.testing import serving_in_threads
from nemo_gym.wire.failure import RolloutError
from nemo_gym.wire.raw_json import encode
from responses_api_models.vllm_model.app import VLLMModel
from responses_api_models.vllm_model.tests.conftest import model_server
from tests.engines.cases.requests import CAPITAL, TOOLS, WEATHER
from tests.engines.recordings import ReplayApp, load

TEMPLATE = str(Path(__file__).parents[3] / "tests/engines/chat_template.jinja")
SGLANG: dict[str, Any] = {
    "return_token_id_information": True,
    "engine": "sglang",
    "chat_template": TEMPLATE,
    "tool_call_parser": "qwen25",
}
Start = Callable[..., VLLMModel]


@pytest.fixture
def replay() -> Iterator[Start]:
    """Return a function from the name of a recording to a model server in front of it."""
    with serving_in_threads() as serve:

        def start(name: str, **settings: Any) -> VLLMModel:
            port = serve(ReplayApp([load("by_format/sglang")[name]]))
            return model_server([f"http://127.0.0.1:{port}"], **{**SGLANG, **settings})

        yield start


async def ask(model: VLLMModel, items: list[Any], **params: Any) -> dict[str, Any]:
    text = (await model.responses(RawParams(encode({"input": items, "temperature": 0, **params})))).json_text
    answer: dict[str, Any] = json.loads(text)
    return answer


async def test_prompts_begin_with_all_earlier_tokens_and_an_answer_that_was_cut_off_is_ended(replay: Start) -> None:
    model, items, earlier = replay("conversation"), list(CAPITAL), []
    versions = []
    for limit in (4, 8, 8):
        answer = await ask(model, items, max_output_tokens=limit)
        (message,) = answer["output"]
        assert message["prompt_token_ids"][: len(earlier)] == earlier
        assert len(message["generation_token_ids"]) == len(message["generation_log_probs"])
        earlier = message["prompt_token_ids"] + message["generation_token_ids"]
        versions += [span["version"] for span in message["weight_versions"]]
        items += [message, {"role": "user", "content": "Go on."}]
    assert versions == ["3", "4", "4"]
    await close_global_aiohttp_client()


async def test_tool_calls_are_found_by_sglangs_own_parser(replay: Start) -> None:
    answer = await ask(replay("tool_call"), list(WEATHER), tools=responses_tools(TOOLS[:1]), max_output_tokens=60)
    (call,) = answer["output"]
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", "get_weather", '{"city": "Paris"}')
    assert call["generation_token_ids"][-1] == 2
    await close_global_aiohttp_client()


@pytest.mark.parametrize(
    ("params", "says"),
    [
        pytest.param({}, "max_output_tokens", id="no-limit"),
        pytest.param({"max_output_tokens": 9, "tool_choice": "required"}, "can't force a tool call", id="forced-call"),
        pytest.param({"max_output_tokens": 9, "seed": 3}, "nothing like seed", id="unknown"),
    ],
)
async def test_what_generate_would_do_otherwise_than_asked_is_refused(
    replay: Start, params: dict[str, Any], says: str
) -> None:
    with pytest.raises(RolloutError, match=says) as caught:
        await ask(replay("conversation"), list(CAPITAL), **params)
    assert caught.value.failure.kind == "model_bad_request"


@pytest.mark.parametrize("content", [None, "{% for", '{"no_template": 1}'])
def test_a_chat_template_that_cannot_be_used_ends_the_start(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / ("tokenizer_config.json" if content and content.startswith('{"') else "template.jinja")
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=r"chat_template: .* isn't a chat template"):
        model_server(["http://127.0.0.1:1"], **{**SGLANG, "chat_template": str(path)})


async def test_a_chat_template_that_leaves_tools_out_is_said(replay: Start, tmp_path: Path) -> None:
    template = tmp_path / "template.jinja"
    template.write_text("{% for message in messages %}{{ message.content }}{% endfor %}")
    model = replay("tool_call", chat_template=str(template))
    with pytest.raises(RolloutError, match="leaves tools out"):
        await ask(model, list(WEATHER), tools=responses_tools(TOOLS[:1]), max_output_tokens=60)


def test_without_a_chat_template_the_start_says_what_to_set() -> None:
    with pytest.raises(ConfigError, match="needs the model's chat template"):
        model_server(["http://127.0.0.1:1"], **{**SGLANG, "chat_template": None})
