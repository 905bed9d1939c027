"""What a server counts of its requests, over HTTP and in memory; and the head's page of those that answer, or don't."""

import asyncio
from typing import Any, ClassVar
from unittest.mock import MagicMock

import httpx
from fastapi import FastAPI, HTTPException
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel
from starlette.responses import JSONResponse, PlainTextResponse, Response

from nemo_gym.base_resources_server import BaseResourcesServerConfig, SimpleResourcesServer
from nemo_gym.server_utils import ServerClient
from nemo_gym.servers.http.in_memory import request_in_memory
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.record import ServerInstanceState
from nemo_gym.servers.serving.metrics.counts import RouteCounts
from nemo_gym.servers.serving.metrics.run_page import run_metrics
from nemo_gym.wire.failure import rollout_error
from tests.bounds import HANGS_AFTER_S
from tests.unit.servers.conftest import ServeApp


class Number(BaseModel):
    n: int


class Desk(SimpleResourcesServer):
    config: BaseResourcesServerConfig
    entered: ClassVar[asyncio.Event]

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        for handler in (self.double, self.refuse, self.judge, self.own_answer, self.hang):
            app.post(f"/{handler.__name__}")(handler)
        app.put("/things/{name}")(self.thing)
        return app

    async def verify(self) -> None:
        return None

    async def double(self, body: Number) -> int:
        return 2 * body.n

    async def refuse(self) -> None:
        raise HTTPException(418)

    async def judge(self) -> None:
        raise rollout_error("judge_failed", "it is down")

    async def own_answer(self) -> Response:
        return JSONResponse({}, status_code=503)

    async def hang(self) -> None:
        self.entered.set()
        await asyncio.sleep(HANGS_AFTER_S)

    async def thing(self, name: str) -> str:
        return name


def desk() -> FastAPI:
    config = BaseResourcesServerConfig(host="", port=0, entrypoint="", name="desk")
    return Desk(config=config, server_client=MagicMock(spec=ServerClient)).setup_webserver()


def samples(page: str) -> dict[tuple[str, ...], float]:
    """Return the values by name and labels, the labels in the order of their names."""
    found = (sample for family in text_string_to_metric_families(page) for sample in family.samples)
    return {(s.name, *(value for _, value in sorted(s.labels.items()))): s.value for s in found}


async def test_requests_are_counted_by_route_and_outcome_over_http_and_in_memory() -> None:
    app = desk()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk") as client:
        for path, body in [("/double", {"n": 1}), ("/double", {"n": "x"}), ("/refuse", {}), ("/judge", {})]:
            await client.post(path, json=body)
        await client.post("/own_answer")
        for name in "abc":
            await client.put(f"/things/{name}")
        await client.post("/nothing/here")
        await request_in_memory(app, "POST", "http://desk/double", json={"n": 2}, server="desk")
        found = samples((await client.get("/server_metrics")).text)
    counted = {key[1:]: value for key, value in found.items() if key[0] == "nemo_gym_requests_total"}
    assert counted == {
        ("ok", "/double"): 2,
        ("input_invalid", "/double"): 1,
        ("input_invalid", "/refuse"): 1,
        ("judge_failed", "/judge"): 1,
        ("http_503", "/own_answer"): 1,
        ("ok", "/things/{name}"): 3,
    }
    assert found["nemo_gym_request_seconds_bucket", "+Inf", "/double"] == 3
    assert found["nemo_gym_request_seconds_count", "/things/{name}"] == 3


async def test_a_request_is_in_flight_until_it_is_cancelled() -> None:
    app, Desk.entered = desk(), asyncio.Event()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://desk") as client:
        hanging = asyncio.create_task(client.post("/hang"))
        await Desk.entered.wait()
        assert samples((await client.get("/server_metrics")).text)["nemo_gym_requests_in_flight", "/hang"] == 1
        hanging.cancel()
        await asyncio.wait([hanging])
        found = samples((await client.get("/server_metrics")).text)
    assert found["nemo_gym_requests_in_flight", "/hang"] == 0
    assert found["nemo_gym_requests_total", "cancelled", "/hang"] == 1


def test_times_fall_into_their_bucket_and_outcomes_without_end_are_not_all_named() -> None:
    clock = iter([0.0, 0.005, 10.0, 10.006, 0.0, 5000.0])
    counts = RouteCounts(lambda: next(clock, 0.0))
    for _ in range(3):
        counts.end(counts.begin(), "ok")
    assert (counts.by_bucket[0], counts.by_bucket[1], counts.by_bucket[-1]) == (1, 1, 1)
    for number in range(200):
        counts.end(counts.begin(), f"their:kind_{number}")
    assert len(counts.outcomes) == 101
    assert counts.outcomes["other"] == 101


def state(name: str, port: int, **more: Any) -> ServerInstanceState:
    url = f"http://127.0.0.1:{port}"
    fields: dict[str, Any] = {"name": name, "kind": "resources_servers", "implementation": "desk", "pid": 1}
    return ServerInstanceState(**fields, host="127.0.0.1", port=port, url=url, state="ready", **more)


async def test_the_head_shows_who_answers_and_says_who_does_not(serve_app: ServeApp) -> None:
    def answering(text: str) -> int:
        app = FastAPI()
        app.get("/server_metrics")(lambda: PlainTextResponse(text))
        return serve_app(app)

    one, two = answering("# TYPE hits counter\nhits_total 1\n"), answering("# TYPE hits counter\nhits_total 2\n")
    states = [
        state("desk", 1, worker=0),
        state("desk", 1, worker=1, restarts=3),
        state("far", one, worker=0, node="10.0.0.7"),
        state("odd", answering("<html>hello</html> }{")),
        state("endless", answering("x" * (5 * 2**20))),
        state("gone", 1),
    ]
    workers = {"worker_urls": [f"http://127.0.0.1:{one}", f"http://127.0.0.1:{two}"]}
    config = {"desk": {"resources_servers": {"desk": workers}}}
    found = samples((await run_metrics("run-1", states, config, RunAccess())).decode())
    kind = "resources_servers"
    up = {key[2:]: value for key, value in found.items() if key[0] == "nemo_gym_server_up"}
    assert up == {
        ("", "desk", "0"): 1,
        ("", "desk", "1"): 1,
        ("10.0.0.7", "far", "0"): 1,
        ("", "odd", ""): 0,
        ("", "endless", ""): 0,
        ("", "gone", ""): 0,
    }
    hits = {key[1:]: value for key, value in found.items() if key[0] == "hits_total"}
    assert hits == {(kind, "", "desk", "0"): 1, (kind, "", "desk", "1"): 2, (kind, "10.0.0.7", "far", "0"): 1}
    assert found["nemo_gym_server_restarts_total", kind, "", "desk", "1"] == 3
    assert found["nemo_gym_run_info", "run-1"] == 1
