"""What is wrong with a row, said with its line; and rows that get their agent's name."""

import json
from typing import Any

import pytest

from nemo_gym.collections.tasks import Task
from nemo_gym.data.prepare.rows import AgentNamer, EnvironmentNeeds, checked_row

WEATHER = EnvironmentNeeds("weather", frozenset({"expected_city", "response"}), frozenset({"get_weather"}))


def tool(name: str) -> dict[str, Any]:
    return {"type": "function", "name": name, "parameters": {}, "strict": True}


def row(params: Any, **more: Any) -> Task:
    return Task(2, 3, json.dumps({"responses_create_params": params, **more}).encode())


def test_a_row_that_fits_is_returned() -> None:
    good = row({"input": "hi", "tools": [tool("get_weather")], "temperature": 1}, expected_city="Rome")
    assert checked_row(good, [WEATHER])["expected_city"] == "Rome"


@pytest.mark.parametrize(
    ("task", "said"),
    [
        pytest.param(Task(2, 3, b"{nope"), "line 3 isn't valid JSON", id="no-json"),
        pytest.param(row(None), "line 3 lacks responses_create_params", id="no-params"),
        pytest.param(row({"input": "x", "temperature": 9}), r"line 3 .*temperature: Input should be", id="range"),
        pytest.param(row({"input": [{"type": "message"}]}), r"line 3 .*responses_create_params.input", id="item"),
        pytest.param(row({"input": "x", "tools": [{}]}), "a tool is an object with a `type`", id="tool-shape"),
        pytest.param(row({"input": "x"}), "line 3 lacks expected_city, which the verifier of weather", id="field"),
        pytest.param(
            row({"input": "x", "tools": [tool("get_wether")]}, expected_city="Rome"),
            r"declares tools that weather doesn't have: get_wether \(did you mean 'get_weather'\?\)",
            id="tool",
        ),
    ],
)
def test_a_row_that_does_not_fit_is_said_with_its_line(task: Task, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        checked_row(task, [WEATHER])


def test_an_environment_whose_tools_nobody_can_list_takes_any() -> None:
    any_tool = EnvironmentNeeds("shell", frozenset(), None)
    assert checked_row(row({"input": "x", "tools": [tool("whatever")]}), [any_tool])


def test_the_agent_is_named_and_everything_else_keeps_its_text() -> None:
    text = (
        b'{"responses_create_params": {"input":  "x"},"big":12345678901234567890123,"x":1.50,"agent_ref":{"name":"b"}}'
    )
    line = AgentNamer("mine").line(Task(0, 1, text))
    assert b'{"input":  "x"}' in line
    assert b'"big":12345678901234567890123,"x":1.50' in line
    assert json.loads(line)["agent_ref"] == {"type": "responses_api_agents", "name": "mine"}
    assert line.endswith(b"}\n")
