"""What is sent arrives as it was sent: unknown fields, big bodies, headers, cookies, every form of a call."""

import json
from typing import Any

import pytest

from nemo_gym.server_utils import ServerClient
from tests.integration.placement.placement import note, results, row

pytestmark = pytest.mark.integration


async def ask(client: ServerClient, name: str) -> dict[str, Any]:
    answer: dict[str, Any] = await (await client.post("judge", f"/calls/{name}")).json()
    return answer


ECHOED: dict[str, dict[str, Any]] = {
    "json": {"method": "POST", "body": json.dumps({"a": [1, None, "ü"]}, separators=(",", ":"), ensure_ascii=False)},
    "model": {"body": '{"given":1}', "content_type": "application/json"},
    "bytes": {"body": b"\x00\xff".decode("latin-1"), "content_type": "application/octet-stream"},
    "text": {"method": "PUT", "body": "grüß", "content_type": "text/plain; charset=utf-8"},
    "form": {"body": "a=1+2&b=%C3%BC", "content_type": "application/x-www-form-urlencoded"},
    "nothing": {"body": ""},
    "delete": {"method": "DELETE"},
    "params": {"query": [["a", "1 & 2"], ["n", "3"]]},
    "pairs": {"query": [["a", "1"], ["a", "2"]]},
    "query": {"query": [["a", "1"], ["b", "ü"], ["c", "3"]], "path": "/echo/query"},
    "quoted": {"raw_path": "/echo/a%20b%2Fc"},
    "headers": {"header": ["1", "2"]},
    "cookies": {"cookies": {"flavour": "vanilla", "size": "2"}},
    "auth": {"authorization": "Basic bWU6cGFzcw=="},
    "timeouts_in_time": {"method": "GET"},
}


@pytest.mark.parametrize("name", ECHOED)
async def test_a_call_arrives_in_every_form_the_client_takes(client: ServerClient, name: str) -> None:
    answer = await ask(client, name)
    echoed = json.loads(answer["text"])
    echoed["body"] = echoed["body"].encode("latin-1").decode() if name in ("json", "text") else echoed["body"]
    assert {key: echoed[key] for key in ECHOED[name]} == ECHOED[name]
    assert echoed["host"].startswith("127.0.0.1:")


async def test_a_redirect_is_left_to_the_caller(client: ServerClient) -> None:
    answer = await ask(client, "redirect")
    assert (answer["status"], answer["headers"]["location"]) == (307, "/echo/moved")


async def test_an_overridden_route_with_path_parameters_takes_an_upload(client: ServerClient) -> None:
    answer = await ask(client, "upload")
    assert answer["status"] == 200, answer["text"]
    said = json.loads(answer["text"])
    assert said.pop("size") > 5
    assert said == {"room": "a room", "path": "deep/five.bin", "loud": True, "has_file": True}


async def test_an_answer_in_parts_arrives_whole(client: ServerClient) -> None:
    assert (await ask(client, "stream"))["text"] == "0;1;2;"


async def test_a_body_of_five_megabytes_passes_both_ways(client: ServerClient) -> None:
    assert await ask(client, "large") == {"same": True}
    answer = await client.post("placed_agent", "/run", json=row(note("big", size=100_000), filler="y" * 5_000_000))
    (result,) = await results(answer)
    assert len(result["padding"]) == 100_000
    assert len((await answer.json())["filler"]) == 5_000_000


async def test_unknown_fields_come_back_as_they_were_sent(client: ServerClient) -> None:
    extra = {"nested": {"deep": [1, None, {"x": 1.5}]}, "umlaut": "ü"}
    item = {"type": "message", "id": "m1", "role": "assistant", "status": "completed", "generation_token_ids": [1, 2]}
    output = [{**item, "content": [{"type": "output_text", "text": "hi", "annotations": [], "odd": extra}]}]
    sent = row(extra=extra)
    sent["responses_create_params"]["metadata"]["script"] = json.dumps([{"output": output}])
    verdict = await (await client.post("placed_agent", "/run", json=sent)).json()
    assert verdict["extra"] == extra
    assert verdict["response"]["output"] == output


async def test_headers_and_cookies_of_a_handler_arrive(client: ServerClient) -> None:
    seeded = await client.post("placed", "/seed_session", json={})
    answer = await client.post("placed", "/note", json={"entry": {"text": "crisp"}}, cookies=seeded.cookies)
    assert answer.headers["x-notes"] == "1"
    assert answer.cookies["last_note"].value == "crisp"


async def test_tools_and_health_are_served(client: ServerClient) -> None:
    tools = await (await client.get("placed", "/tools")).json()
    assert [tool["name"] for tool in tools] == ["note", "hang", "wait", "block", "blow_up", "refuse", "where"]
    for name in ("placed", "judge", "policy_model", "placed_agent"):
        assert (await (await client.get(name, "/health")).json()) == {"status": "ok", "name": name}


async def test_each_server_means_the_module_beside_its_own_script(client: ServerClient) -> None:
    (result,) = await results(await client.post("placed_agent", "/run", json=row(note("x"))))
    assert result["table"] == "placed"
    judged = await (await client.post("judge", "/v1/responses", json={"input": "hi"})).json()
    assert judged["table"] == "judge"
