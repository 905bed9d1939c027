"""What handlers may take and return, and how FastAPI's own options on a route keep their meaning."""

from collections.abc import Iterator
from typing import Annotated, Any
from unittest.mock import MagicMock

import pytest
from fastapi import Body, Depends, FastAPI, Query, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.testclient import TestClient
from pydantic import BaseModel

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.openai_utils import NeMoGymResponse
from nemo_gym.server_utils import SESSION_ID_KEY, ServerClient


class City(BaseModel):
    city: str
    country: str = "US"


class CityAnswer(City):
    degrees: int = 7


def _signed_in() -> str:
    return "somebody"


async def with_body(body: City) -> City:
    return body


async def with_body_marker(body: City = Body()) -> City:
    return body


async def with_annotated_body(body: Annotated[City, Body()]) -> City:
    return body


async def with_embedded_body(body: Annotated[City, Body(embed=True)]) -> City:
    return body


async def with_request(request: Request, body: City) -> dict[str, Any]:
    return {"city": body.city, "has_session": SESSION_ID_KEY in request.session}


async def with_response(body: City, response: Response) -> City:
    response.set_cookie("seen", body.city)
    response.status_code = 201
    return body


def plain(body: City) -> City:
    return body


async def with_query(city: str, days: int = Query(default=1)) -> dict[str, Any]:
    return {"city": city, "days": days}


async def with_dependency(body: City, who: Annotated[str, Depends(_signed_in)]) -> dict[str, str]:
    return {"city": body.city, "who": who}


async def with_dict(body: dict[str, Any]) -> dict[str, Any]:
    return body


async def with_nothing() -> list[int]:
    return [1, 2]


async def with_subclass_answer(body: City) -> City:
    return CityAnswer(city=body.city)


async def with_query_and_subclass_answer(city: str) -> City:
    return CityAnswer(city=city)


async def with_none(body: City) -> None:
    return None


async def with_own_answer(body: City) -> Response:
    return PlainTextResponse("by hand", status_code=202)


HANDLERS = {name: function for name, function in globals().items() if name.startswith("with_")} | {"plain": plain}


class ShapesServer(SimpleResourcesServer):
    config: BaseResourcesServerConfig

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        for name, handler in HANDLERS.items():
            app.post(f"/{name}")(handler)
        app.post("/created", status_code=201)(with_body)
        app.post("/trimmed", response_model=City)(with_subclass_answer)
        app.post("/guarded", dependencies=[Depends(self._refuse)])(with_body)
        return app

    async def verify(self, body: BaseVerifyRequest) -> BaseVerifyResponse:
        return BaseVerifyResponse(**body.model_dump(), reward=1.0)

    def _refuse(self) -> None:
        raise PermissionError("no")


def make_server(server_class: type[SimpleResourcesServer]) -> Any:
    config_class: Any = server_class.model_fields["config"].annotation
    return server_class(
        config=config_class(host="", port=0, entrypoint="", name=""), server_client=MagicMock(spec=ServerClient)
    )


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(make_server(ShapesServer).setup_webserver(), raise_server_exceptions=False) as client:
        yield client


@pytest.mark.parametrize(
    "path", ["with_body", "with_body_marker", "with_annotated_body", "plain", "with_response", "created"]
)
def test_a_body_is_validated_and_its_defaults_are_part_of_the_answer(client: TestClient, path: str) -> None:
    assert client.post(f"/{path}", json={"city": "Rome"}).json() == {"city": "Rome", "country": "US"}


def test_an_embedded_body_is_fastapis_own_shape(client: TestClient) -> None:
    assert client.post("/with_embedded_body", json={"body": {"city": "Rome"}}).json()["city"] == "Rome"


def test_a_handler_with_a_request_finds_its_session_there(client: TestClient) -> None:
    assert client.post("/with_request", json={"city": "Rome"}).json() == {"city": "Rome", "has_session": True}


def test_cookies_and_status_set_on_the_response_parameter_reach_the_caller(client: TestClient) -> None:
    answer = client.post("/with_response", json={"city": "Rome"})
    assert (answer.status_code, answer.cookies["seen"]) == (201, "Rome")


def test_query_parameters_are_read_from_the_query(client: TestClient) -> None:
    assert client.post("/with_query?city=Rome&days=3").json() == {"city": "Rome", "days": 3}


def test_a_missing_query_parameter_is_422_with_an_envelope(client: TestClient) -> None:
    answer = client.post("/with_query")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "city"]
    assert answer.json()["error"]["kind"] == "input_invalid"


def test_dependencies_are_resolved(client: TestClient) -> None:
    assert client.post("/with_dependency", json={"city": "Rome"}).json()["who"] == "somebody"


def test_a_routes_own_dependencies_are_not_skipped(client: TestClient) -> None:
    assert client.post("/guarded", json={"city": "Rome"}).status_code == 500


def test_a_routes_own_status_is_kept(client: TestClient) -> None:
    assert client.post("/created", json={"city": "Rome"}).status_code == 201


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        pytest.param("with_dict", {"any": [1]}, {"any": [1]}, id="dict"),
        pytest.param("with_nothing", None, [1, 2], id="list"),
        pytest.param("with_none", {"city": "x"}, None, id="none"),
        pytest.param("with_subclass_answer", {"city": "x"}, {"city": "x", "country": "US", "degrees": 7}, id="model"),
        pytest.param("trimmed", {"city": "x"}, {"city": "x", "country": "US"}, id="trimmed-on-demand"),
    ],
)
def test_an_answer_is_sent_whole(client: TestClient, path: str, body: Any, answer: Any) -> None:
    assert client.post(f"/{path}", json=body).json() == answer


def test_the_fallback_sends_a_subclass_whole_too(client: TestClient) -> None:
    assert client.post("/with_query_and_subclass_answer?city=x").json()["degrees"] == 7


def test_a_response_made_by_hand_is_sent_as_it_is(client: TestClient) -> None:
    answer = client.post("/with_own_answer", json={"city": "x"})
    assert (answer.status_code, answer.text) == (202, "by hand")


def test_the_openapi_page_describes_the_answer_of_every_handler(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/with_body", "/with_query_and_subclass_answer"):
        answer = paths[path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert answer == {"$ref": "#/components/schemas/City"}


async def test_handlers_can_be_awaited_directly_on_a_server_with_a_mock_client() -> None:
    output = {"type": "message", "id": "m", "role": "assistant", "content": []}
    response = {"id": "r", "created_at": 1, "model": "m", "output": [output], "engine": {"x": 1}}
    row = {"responses_create_params": {"input": "hi"}, "response": response, "answer": 42}
    verdict = await make_server(ShapesServer).verify(BaseVerifyRequest.model_validate(row))
    assert verdict.reward == 1.0
    assert isinstance(verdict.response, NeMoGymResponse)
    assert verdict.model_dump() == row | {"reward": 1.0}


class JudgingServer(ShapesServer):
    async def verify(self, body: BaseVerifyRequest, strict: bool = False) -> Response:  # type: ignore[override]
        return JSONResponse({"reward": 0.5, "strict": strict})


def test_a_verify_with_a_query_parameter_and_its_own_answer_is_checked_like_any_other() -> None:
    client = TestClient(make_server(JudgingServer).setup_webserver())
    row: dict[str, Any] = {"responses_create_params": {"input": "hi"}}
    row["response"] = {"id": "r", "created_at": 1, "model": "m", "output": []}
    assert client.post("/verify?strict=true", json=row).json() == {"reward": 0.5, "strict": True}
