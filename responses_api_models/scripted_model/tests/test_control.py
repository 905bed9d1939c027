"""The control surface, and the endpoint's own refusals."""

import asyncio

import pytest


async def ask(client, text="x", **more):
    return await client.post("/v1/responses", json={"input": text, **more})


async def test_stats_count_requests_by_path_key_and_fault(client_for):
    async with client_for(faults=[{"kind": "html", "on_requests": [2]}]) as client:
        for key in ("a", "a", "b"):
            await ask(client, metadata={"task_key": key})
        await client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "x"}]})
        stats = (await client.get("/script/stats")).json()
    assert stats["requests"] == 4
    assert stats["by_path"] == {"/v1/responses": 3, "/v1/chat/completions": 1}
    assert stats["faults_by_kind"] == {"html": 1}
    assert (stats["attempts_by_key"]["a"], stats["attempts_by_key"]["b"]) == (2, 1)


async def test_task_without_a_key_is_known_by_its_first_user_text_in_both_apis(client_for):
    async with client_for() as client:
        await ask(client, "one")
        await ask(client, [{"role": "user", "content": "one"}, {"role": "user", "content": "more"}])
        await client.post("/v1/chat/completions", json={"messages": [{"role": "user", "content": "one"}]})
        stats = (await client.get("/script/stats")).json()
    assert list(stats["attempts_by_key"].values()) == [3]


async def test_last_requests_are_kept_up_to_the_bounds(client_for):
    async with client_for(keep_requests=3, keep_request_bytes=50) as client:
        for text in ("a", "b", "c", "d"):
            await ask(client, text)
        kept = (await client.get("/script/requests")).json()["requests"]
        last = (await client.get("/script/requests?last=1")).json()["requests"]
        await ask(client, "e" * 100)
        huge = (await client.get("/script/requests")).json()["requests"]
    assert [request["body"]["input"] for request in kept] == ["b", "c", "d"]
    assert last == [{"number": 4, "path": "/v1/responses", "body": {"input": "d"}}]
    assert [request["number"] for request in huge] == [5]


async def test_faults_changed_while_running_hold_until_the_reset(client_for):
    async with client_for() as client:
        answer = await client.put("/script/faults", json=[{"kind": "status", "status": 503}])
        assert answer.json()["faults"] == [{"kind": "status", "status": 503}]
        assert (await ask(client)).status_code == 503
        assert (await client.post("/script/reset")).json()["requests"] == 0
        assert (await ask(client)).status_code == 200


async def test_faults_with_a_mistake_are_refused_and_the_old_ones_stay(client_for):
    async with client_for(faults=[{"kind": "status", "status": 503}]) as client:
        answer = await client.put("/script/faults", json=[{"kind": "silnt"}])
        assert answer.status_code == 422
        assert "silnt" in answer.json()["error"]["message"]
        assert (await ask(client)).status_code == 503


@pytest.mark.parametrize(
    ("given", "status"), [({}, 401), ({"Authorization": "Bearer no"}, 401), ({"Authorization": "Bearer k"}, 200)]
)
async def test_a_key_is_required_when_one_is_configured(client_for, given, status):
    async with client_for(api_key="k") as client:
        answer = await client.post("/v1/responses", json={"input": "x"}, headers=given)
        models = await client.get("/v1/models", headers=given)
    assert answer.status_code == models.status_code == status
    assert status == 200 or answer.json()["error"]["code"] == "invalid_api_key"


async def test_models_and_health_answer(client_for):
    async with client_for(model_name="played") as client:
        assert (await client.get("/v1/models")).json()["data"][0]["id"] == "played"
        assert (await client.get("/health")).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "words"),
    [
        ("POST", "/v1/responses", b"{", 400, "isn't valid JSON"),
        ("POST", "/v1/responses", b"[]", 400, "JSON object"),
        ("POST", "/v1/responses", b"{}", 400, "'input'"),
        ("POST", "/v1/responses", b'{"input": [1]}', 400, "list of objects"),
        ("POST", "/v1/responses", b'{"input": "x", "tools": 3}', 400, "'tools'"),
        ("POST", "/v1/responses", b'{"input": "x", "stream": true}', 400, "Streaming"),
        ("POST", "/v1/responses", b'{"input": "x", "metadata": {"script": "["}}', 400, "metadata.script"),
        ("POST", "/v1/chat/completions", b"{}", 400, "'messages'"),
        ("GET", "/v1/responses", b"", 405, "POST"),
        ("GET", "/v1/nothing", b"", 404, "/v1/nothing"),
        ("GET", "/script/nothing", b"", 404, "/script/nothing"),
        ("GET", "/script/requests?last=all", b"", 400, "'all'"),
    ],
)
async def test_bad_request_is_refused_in_words(client_for, method, path, content, status, words):
    async with client_for() as client:
        answer = await client.request(method, path, content=content)
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]


CHAT = {"messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    ("form", "error_type", "code"),
    [("openai", "invalid_request_error", "model_not_found"), ("vllm", "NotFoundError", 404)],
)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/chat/completions", "/tokenize"])
async def test_unknown_model_is_refused_when_asked_for(client_for, path, form, error_type, code):
    async with client_for(model_name="m", unknown_model_error=form) as client:
        body = {"input": "x", "prompt": "x", **CHAT}
        refused = await client.post(path, json={**body, "model": "other"})
        known = [await client.post(path, json={**body, **model}) for model in ({"model": "m"}, {})]
    error = refused.json()["error"]
    assert (refused.status_code, error["type"], error["code"]) == (404, error_type, code)
    assert "`other`" in error["message"]
    assert [answer.status_code for answer in known] == [200, 200]


@pytest.mark.parametrize(("apis", "expected"), [(["chat"], [404, 200]), (["responses"], [200, 404])], ids=str)
async def test_api_that_is_not_listed_does_not_exist(client_for, apis, expected):
    async with client_for(apis=apis) as client:
        answers = [await ask(client), await client.post("/v1/chat/completions", json=CHAT)]
        stats = (await client.get("/script/stats")).json()
    assert [answer.status_code for answer in answers] == expected
    assert answers[expected.index(404)].json()["error"]["code"] == "unknown_url"
    assert stats["requests"] == 1


async def test_weights_being_updated_are_a_503_until_the_update_ends(client_for):
    async with client_for(weight_version=7) as client:
        assert (await ask(client)).json()["weight_version"] == 7
        begun = (await client.post("/script/weights", json={"version": 9, "for_s": None})).json()
        refused = await ask(client)
        ended = (await client.post("/script/weights", json={"version": 9})).json()
        chat = (await client.post("/v1/chat/completions", json=CHAT)).json()
        stats = (await client.get("/script/stats")).json()
    assert begun == {"weight_version": 9, "updating": True}
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "weights_updating")
    assert ended == {"weight_version": 9, "updating": False}
    assert chat["weight_version"] == 9
    assert stats["faults_by_kind"] == {"weights_updating": 1}


async def test_weight_update_ends_by_itself_after_its_time(client_for):
    async with client_for() as client, asyncio.timeout(5):
        await client.post("/script/weights", json={"for_s": 0.05})
        while (answer := await ask(client)).status_code == 503:
            await asyncio.sleep(0.01)
    assert answer.json()["weight_version"] == 1


async def test_weight_update_without_a_version_takes_the_next_and_a_reset_the_configured(client_for):
    async with client_for() as client:
        assert "weight_version" not in (await ask(client)).json()
        versions = [(await client.post("/script/weights")).json()["weight_version"] for _ in range(2)]
        await client.post("/script/weights", json={"for_s": None})
        await client.post("/script/reset")
        after = (await client.get("/script/weights")).json()
    assert versions == [1, 2]
    assert after == {"weight_version": None, "updating": False}


async def test_request_in_flight_when_an_update_begins_is_refused(client_for):
    async with client_for(latency_s=0.3) as client:
        waiting = asyncio.create_task(ask(client))
        while (await client.get("/script/stats")).json()["in_flight"] == 0:
            await asyncio.sleep(0.01)
        await client.post("/script/weights", json={"for_s": None})
        assert (await waiting).status_code == 503


@pytest.mark.parametrize("update", [{"for_s": -1}, {"vresion": 3}, {"meanwhile": "sleep"}, {"version": -1}], ids=str)
async def test_weight_update_with_a_mistake_is_refused_and_changes_nothing(client_for, update):
    async with client_for() as client:
        answer = await client.post("/script/weights", json=update)
        weights = (await client.get("/script/weights")).json()
    assert answer.status_code == 422
    assert next(iter(update)) in answer.json()["error"]["message"]
    assert weights == {"weight_version": None, "updating": False}
