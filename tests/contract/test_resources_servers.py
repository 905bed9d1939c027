"""The contract of a resources server, for every one there is: what agents, trainers and people rely on."""

import json
import math
from typing import Any

import jsonschema_rs
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response

from nemo_gym.base_resources_server import SimpleResourcesServer
from nemo_gym.server_utils import SESSION_ID_HEADER, new_session_id
from nemo_gym.servers.sessions.tools import is_tool_name
from tests.contract.environment import Environment, fitting, tools_of, trajectory

UNKNOWN = {"note": {"deep": [1, None, "ü"]}, "_trainer_key": 7}
DEFAULTED = ("tools", "tool_choice", "parallel_tool_calls")


@pytest.fixture
def row(environment: Environment) -> dict[str, Any]:
    return environment.rows[0]


@pytest.fixture
def tools(app: FastAPI) -> list[dict[str, Any]]:
    return tools_of(app)


@pytest.fixture
def body(row: dict[str, Any], tools: list[dict[str, Any]]) -> dict[str, Any]:
    """What the agent sends to `/verify`."""
    return {**row, "response": trajectory(tools)}


@pytest.fixture
def seeded(client: TestClient, row: dict[str, Any]) -> TestClient:
    assert client.post("/seed_session", json=row).status_code == 200
    return client


def kind_of(answer: Response) -> str | None:
    kind: str | None = (answer.json().get("error") or {}).get("kind")
    return kind


@pytest.mark.parametrize("path", ["/health", "/"])
def test_a_server_says_that_it_is_alive_without_a_body(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200


def test_tools_are_functions_with_name_description_and_a_json_schema(tools: list[dict[str, Any]]) -> None:
    for tool in tools:
        assert tool["type"] == "function"
        assert is_tool_name(tool["name"])
        assert tool["description"].strip()
        assert tool["parameters"]["type"] == "object"
        jsonschema_rs.meta.validate(tool["parameters"])
        jsonschema_rs.validate(tool["parameters"], fitting(tool["parameters"]))


def test_there_are_example_tasks_and_each_can_be_seeded_and_verified(environment: Environment, app: FastAPI) -> None:
    assert len(environment.rows) >= 5
    for row in environment.rows:
        client = TestClient(app)
        assert client.post("/seed_session", json=row).status_code == 200
        verdict = client.post("/verify", json={**row, "response": trajectory(tools_of(app))})
        assert verdict.status_code == 200, verdict.text
        assert_is_reward(verdict.json()["reward"])


def assert_is_reward(reward: object) -> None:
    assert isinstance(reward, int | float)
    assert not isinstance(reward, bool)
    assert math.isfinite(reward)


def test_seeding_again_with_the_same_id_and_task_answers_the_same(client: TestClient, row: dict[str, Any]) -> None:
    headers = {SESSION_ID_HEADER: new_session_id()}
    first, second = (client.post("/seed_session", json=row, headers=headers) for _ in range(2))
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert first.status_code == 200


def test_seeding_again_with_another_task_is_refused_where_sessions_are_kept(
    client: TestClient, server: SimpleResourcesServer, row: dict[str, Any]
) -> None:
    headers = {SESSION_ID_HEADER: new_session_id()}
    client.post("/seed_session", json=row, headers=headers)
    other = client.post("/seed_session", json={**row, **UNKNOWN}, headers=headers)
    assert (other.status_code, kind_of(other)) == ((409, "session_lost") if server.keeps_sessions() else (200, None))


def test_without_a_seeded_session_a_tool_and_a_verdict_are_refused_where_sessions_are_kept(
    app: FastAPI, server: SimpleResourcesServer, tools: list[dict[str, Any]], body: dict[str, Any]
) -> None:
    calls = [(f"/{tool['name']}", fitting(tool["parameters"])) for tool in tools] + [("/verify", body)]
    for path, sent in calls:
        answer = TestClient(app).post(path, json=sent)
        if server.keeps_sessions():
            assert (answer.status_code, kind_of(answer)) == (409, "session_lost"), path
            assert "reward" not in answer.json()
        else:
            assert answer.status_code == 200, answer.text


def test_unknown_fields_arrive_at_the_other_end_as_they_were_sent(seeded: TestClient, body: dict[str, Any]) -> None:
    output = [{**item, **UNKNOWN} for item in body["response"]["output"]]
    sent = {**body, **UNKNOWN, "response": {**body["response"], **UNKNOWN, "output": output}}
    verdict = seeded.post("/verify", json=sent)
    assert verdict.status_code == 200, verdict.text
    got = verdict.json()
    assert {key: got[key] for key in sent} == sent


@pytest.mark.parametrize("absent", [*((name,) for name in DEFAULTED), DEFAULTED], ids="-".join)
def test_a_response_without_what_has_a_published_default_is_verified(
    seeded: TestClient, body: dict[str, Any], absent: tuple[str, ...]
) -> None:
    response = {key: value for key, value in body["response"].items() if key not in absent}
    verdict = seeded.post("/verify", json={**body, "response": response})
    assert verdict.status_code == 200, verdict.text
    assert_is_reward(verdict.json()["reward"])


def test_a_policy_that_did_nothing_gets_a_reward_and_no_error(seeded: TestClient, body: dict[str, Any]) -> None:
    verdict = seeded.post("/verify", json={**body, "response": {**body["response"], "output": []}})
    assert verdict.status_code == 200, verdict.text
    assert_is_reward(verdict.json()["reward"])


def wrong_arguments(schema: dict[str, Any]) -> list[Any]:
    """Values a policy may write that don't fit the schema: no object, nothing, and each argument of a wrong type."""
    right = fitting(schema)
    values: list[Any] = [[], "text", 7, None, {}]
    values += [
        {**right, name: wrong}
        for name in right
        for wrong in (None, [], {}, 7, "text", True)
        # Numbers may be written loosely, "4" for 4, and then true is 1.
        if wrong is not True or not isinstance(right[name], int | float)
    ]
    return [value for value in values if not jsonschema_rs.is_valid(schema, value)]


def test_arguments_that_do_not_fit_are_refused_in_words_and_never_a_500(
    seeded: TestClient, tools: list[dict[str, Any]]
) -> None:
    for tool in tools:
        for wrong in wrong_arguments(tool["parameters"]):
            # As text: the client sends no body at all for None.
            answer = seeded.post(f"/{tool['name']}", content=json.dumps(wrong))
            assert 400 <= answer.status_code < 500, (tool["name"], wrong, answer.text)
            assert answer.json()["detail"], "what the policy reads"
            assert answer.json()["error"]["reason"].strip()


def test_a_tool_call_that_fits_is_answered(seeded: TestClient, tools: list[dict[str, Any]]) -> None:
    for tool in tools:
        answer = seeded.post(f"/{tool['name']}", json=fitting(tool["parameters"]))
        # 400: a refusal in words, e.g. to give back what isn't there.
        assert answer.status_code in (200, 400), answer.text


@pytest.mark.parametrize("text", [b"{not json", b"\xff\xfe", b'{"a": NaN}'], ids=["cut", "binary", "nan"])
def test_a_body_that_is_not_json_is_refused_and_never_a_500(
    seeded: TestClient, app: FastAPI, tools: list[dict[str, Any]], text: bytes
) -> None:
    unseeded = TestClient(app, raise_server_exceptions=False)
    calls = [(seeded, f"/{tool['name']}") for tool in tools] + [(seeded, "/verify"), (unseeded, "/seed_session")]
    for caller, path in calls:
        answer = caller.post(path, content=text, headers={"content-type": "application/json"})
        assert answer.status_code == 422, (path, answer.text)
        assert answer.json()["error"]["reason"].strip()


def test_an_empty_body_is_an_empty_object_and_never_a_500(
    seeded: TestClient, app: FastAPI, tools: list[dict[str, Any]]
) -> None:
    for path in (*(f"/{tool['name']}" for tool in tools), "/verify"):
        empty, without_fields = seeded.post(path), seeded.post(path, json={})
        assert empty.status_code == without_fields.status_code < 500, path
    assert TestClient(app, raise_server_exceptions=False).post("/seed_session").status_code < 500


def test_the_cookie_is_set_on_every_answer_whose_session_is_known(
    app: FastAPI, server: SimpleResourcesServer, tools: list[dict[str, Any]], body: dict[str, Any]
) -> None:
    name = server.session_cookie_name()
    cookies = {name: TestClient(app).post("/seed_session", json=body).cookies[name]}
    calls = [(f"/{tool['name']}", fitting(tool["parameters"])) for tool in tools]
    calls += [(path, []) for path, _ in calls[:1]]
    for path, sent in [*calls, ("/verify", body), ("/close_session", {})]:
        # Each time from a caller of its own, which has the cookies of the last answer and no others.
        answer = TestClient(app, cookies=cookies).post(path, json=sent)
        assert name in answer.cookies, path
        cookies = {name: answer.cookies[name]}
