"""Which requests a fault strikes, and the faults that need no socket."""

import asyncio
from collections import Counter

import pytest


async def statuses(client, count):
    return [(await client.post("/v1/responses", json={"input": "x"})).status_code for _ in range(count)]


async def test_rates_are_exact_shares_and_the_same_in_every_run(client_for):
    faults = [{"kind": "status", "status": 429, "rate": 0.3}, {"kind": "status", "status": 500, "rate": 0.1}]
    runs = []
    for _ in range(2):
        async with client_for(faults=faults, seed=3) as client:
            runs.append(await statuses(client, 600))
    shares = Counter(runs[0])
    assert runs[0] == runs[1]
    assert shares[429] == pytest.approx(180, abs=35)
    assert shares[500] == pytest.approx(60, abs=25)


async def test_another_seed_draws_other_requests(client_for):
    async with client_for(faults=[{"kind": "html", "rate": 0.5}], seed=1) as one:
        first = [(await one.post("/v1/responses", json={"input": "x"})).headers["content-type"] for _ in range(40)]
    async with client_for(faults=[{"kind": "html", "rate": 0.5}], seed=2) as two:
        second = [(await two.post("/v1/responses", json={"input": "x"})).headers["content-type"] for _ in range(40)]
    assert first != second


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ({}, [500, 500, 500, 500]),
        ({"every": 2}, [200, 500, 200, 500]),
        ({"on_requests": [1, 4]}, [500, 200, 200, 500]),
        ({"every": 2, "on_requests": [1, 4]}, [200, 200, 200, 500]),
        ({"when": {"step": 1}}, [200, 200, 200, 200]),
    ],
    ids=str,
)
async def test_fault_strikes_where_all_its_selectors_hold(client_for, selector, expected):
    async with client_for(faults=[{"kind": "status", "status": 500, **selector}]) as client:
        assert await statuses(client, 4) == expected


@pytest.mark.parametrize(
    ("fault", "error_type", "code"),
    [
        ({"status": 429, "headers": {"Retry-After": "7"}}, "requests", "rate_limit_exceeded"),
        ({"status": 429, "code": "insufficient_quota"}, "insufficient_quota", "insufficient_quota"),
        ({"status": 400, "code": "context_length_exceeded"}, "invalid_request_error", "context_length_exceeded"),
        ({"status": 401}, "invalid_request_error", "invalid_api_key"),
        ({"status": 503}, "server_error", None),
    ],
    ids=str,
)
async def test_status_fault_is_an_openai_error(client_for, fault, error_type, code):
    async with client_for(faults=[{"kind": "status", **fault}]) as client:
        answer = await client.post("/v1/responses", json={"input": "x"})
    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (fault["status"], error_type, code)
    assert answer.headers.get("retry-after") == fault.get("headers", {}).get("Retry-After")


async def test_status_fault_body_can_be_anything(client_for):
    faults = [{"kind": "status", "status": 502, "body": "Bad gateway"}]
    async with client_for(faults=faults) as client:
        assert (await client.post("/v1/responses", json={"input": "x"})).text == "Bad gateway"


async def test_latency_of_the_answer_replaces_the_server_latency_and_slow_adds_to_it(client_for):
    settings = {"latency_s": 3600, "default_answer": {"message": "x", "latency_s": [0.06, 0.07]}}
    async with client_for(**settings, faults=[{"kind": "slow", "latency_s": 0.1, "on_requests": [2]}]) as client:
        for least_s in (0.05, 0.15):  # the second has the fault too; the server's own hour would never end
            waited_for = asyncio.create_task(asyncio.sleep(least_s))
            await statuses(client, 1)
            assert waited_for.done()


async def test_request_cancelled_in_its_latency_is_no_longer_in_flight(client_for):
    async with client_for(latency_s=30) as client:
        waiting = asyncio.create_task(client.post("/v1/responses", json={"input": "x"}))
        while (await client.get("/script/stats")).json()["in_flight"] == 0:
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        stats = (await client.get("/script/stats")).json()
    assert (stats["in_flight"], stats["peak_in_flight"]) == (0, 1)
