"""Responses to Chat and back: nothing of a conversation is lost, and everything keeps its place."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_gym.models.chat import ChatOptions, to_chat_request, to_responses_request

TEXTS = st.text(max_size=12).filter(lambda text: "think>" not in text)
WORDS = st.text("abc<>/", min_size=1, max_size=6).filter(lambda text: "think>" not in text)
FORMS = st.sampled_from(["reasoning_content", "reasoning", "think_tags"])
CALL_IDS = st.text("xyz", min_size=1, max_size=4)


def parts(*kinds):
    return st.lists(st.one_of(*kinds), min_size=1, max_size=3)


INPUT_TEXT = st.builds(lambda text: {"type": "input_text", "text": text}, TEXTS)
OUTPUT_TEXT = st.builds(lambda text: {"type": "output_text", "text": text, "annotations": []}, WORDS)
REFUSAL = st.builds(lambda text: {"type": "refusal", "refusal": text}, TEXTS)
IMAGE = st.builds(lambda url: {"type": "input_image", "image_url": url, "detail": "low"}, TEXTS)
FILE = st.builds(lambda data: {"type": "input_file", "file_data": data, "filename": "f"}, TEXTS)
AUDIO = st.builds(lambda data: {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}, TEXTS)
USER = st.builds(
    lambda role, content: {"type": "message", "role": role, "content": content},
    st.sampled_from(["user", "system", "developer"]),
    TEXTS | parts(INPUT_TEXT),
) | st.builds(lambda content: {"type": "message", "role": "user", "content": content}, parts(IMAGE, FILE, AUDIO))
REASONING = st.builds(
    lambda text: {"type": "reasoning", "id": "rs_x", "summary": [{"type": "summary_text", "text": text}]}, WORDS
)
ANSWER = st.builds(
    lambda content: {"type": "message", "role": "assistant", "content": content}, WORDS | parts(OUTPUT_TEXT, REFUSAL)
)
CALL = st.builds(
    lambda call_id, name, arguments: {
        "type": "function_call",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    },
    CALL_IDS,
    TEXTS,
    TEXTS,
)
RESULT = st.builds(
    lambda call_id, output: {"type": "function_call_output", "call_id": call_id, "output": output},
    CALL_IDS,
    TEXTS | parts(INPUT_TEXT),
)


def in_one_form(item):
    """Return an item with one text written as text, and without an id that Chat has no place for."""
    if item["type"] == "reasoning":
        return {key: value for key, value in item.items() if key != "id"}
    key = "output" if item["type"] == "function_call_output" else "content"
    content = item.get(key)
    if isinstance(content, list) and len(content) == 1 and "text" in content[0]:
        return {**item, key: content[0]["text"]}
    return item


def there_and_back(items, form):
    options = ChatOptions(reasoning=form)
    back = to_responses_request(to_chat_request({"input": items}, options).body, options)
    return [in_one_form(item) for item in back["input"]]


def turn_of(reasoning, answer, calls, inputs):
    said_by_the_model = [item for item in (reasoning, answer, *calls) if item is not None]
    return [*said_by_the_model, *(inputs or [{"type": "message", "role": "user", "content": "go on"}])]


TURN = st.builds(
    turn_of,
    st.none() | REASONING,
    st.none() | ANSWER,
    st.lists(CALL, max_size=3),
    st.lists(RESULT | USER, max_size=3),
)
IN_ORDER = st.lists(TURN | st.lists(REASONING | ANSWER | USER, max_size=3), max_size=4).map(
    lambda turns: [item for turn in turns for item in turn]
)
IN_ANY_ORDER = st.lists(st.one_of(USER, REASONING, ANSWER, CALL, RESULT), max_size=9)


@settings(max_examples=100)
@given(IN_ORDER, FORMS)
def test_a_conversation_in_chats_order_comes_back_item_by_item(items, form):
    assert there_and_back(items, form) == [in_one_form(item) for item in items]


def said(items):
    """Each kind of thing in the conversation, in its order, whichever items it is spread over."""
    texts = [part for item in items if item["type"] == "message" for part in text_parts(item["content"])]
    thoughts = "".join(part["text"] for item in items if item["type"] == "reasoning" for part in item["summary"])
    calls = [item for item in items if item["type"] == "function_call"]
    results = [item for item in items if item["type"] == "function_call_output"]
    return texts, thoughts.replace("\n", ""), calls, results


def text_parts(content):
    return [content] if isinstance(content, str) else [part.get("text", part) for part in content]


@settings(max_examples=100)
@given(IN_ANY_ORDER, st.sampled_from(["reasoning", "reasoning_content"]))
def test_a_conversation_in_any_order_loses_nothing_and_keeps_the_order_of_each_kind(items, form):
    assert said(there_and_back(items, form)) == said([in_one_form(item) for item in items])


@settings(max_examples=100)
@given(IN_ANY_ORDER)
def test_calls_of_one_step_are_answered_before_the_model_speaks_again(items):
    messages = to_chat_request({"input": items}).body["messages"]
    pairs = itertools.pairwise(messages)
    assert not any("tool_calls" in first and second["role"] == "assistant" for first, second in pairs)


@pytest.mark.parametrize("form", ["reasoning_content", "reasoning", "think_tags"])
def test_a_custom_call_and_its_result_come_back(form):
    items = [
        {"type": "custom_tool_call", "call_id": "c", "name": "g", "input": "x"},
        {"type": "custom_tool_call_output", "call_id": "c", "output": "y"},
    ]
    assert there_and_back(items, form) == items
