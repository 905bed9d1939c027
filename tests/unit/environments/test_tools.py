"""Tools from methods: what the policy is told of them, and what it reads when it calls one."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel, Field

from nemo_gym.environments import Environment, ToolError, tool

Serve = Callable[..., TestClient]


class Place(BaseModel):
    """Where something is."""

    city: str = Field(description="Name of the city.")
    country: str | None = None


class Tools(Environment):
    @tool
    def plain(self, city: str, days: int = 1, unit: Literal["C", "F"] = "C") -> str:
        """Forecast of a city.

        Also for several days.

        Args:
            city: Name of the city,
                in English.
            days: How many.

        Returns:
            Nothing that the policy is told here.
        """
        return f"{city} {days + 1} {unit}"

    @tool
    async def whole(self, place: Place) -> dict[str, Any]:
        return {"city": place.city}

    @tool(name="renamed", strict=False)
    async def other(self, place: Place, note: Annotated[str, "What to remember."]) -> Place:
        return place

    @tool
    async def nothing(self) -> None:
        """Do nothing."""

    @tool
    async def refuse(self, city: str) -> str:
        raise ToolError(f"{city} is closed")

    async def helper(self, city: str) -> str:
        return city

    def reward(self) -> float:
        return 1.0


@pytest.fixture
def client(serve: Serve) -> TestClient:
    return serve(Tools)


@pytest.fixture
def offered(client: TestClient) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in client.get("/tools").json()}


def test_marked_methods_are_tools_in_the_order_in_which_they_are_written(offered: dict[str, Any]) -> None:
    assert list(offered) == ["plain", "whole", "renamed", "nothing", "refuse"]


def test_type_hints_and_docstring_make_the_schema(offered: dict[str, Any]) -> None:
    assert offered["plain"] == {
        "type": "function",
        "name": "plain",
        "description": "Forecast of a city.\n\nAlso for several days.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Name of the city, in English."},
                "days": {"type": "integer", "description": "How many.", "default": 1},
                "unit": {"type": "string", "enum": ["C", "F"], "default": "C"},
            },
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": False,  # with defaults it can't be
    }


def test_a_schema_is_strict_where_everything_is_required(offered: dict[str, Any]) -> None:
    assert offered["refuse"]["strict"] is True
    assert offered["nothing"]["strict"] is True
    assert offered["renamed"]["strict"] is False


def test_descriptions_may_stand_beside_the_type(offered: dict[str, Any]) -> None:
    assert offered["renamed"]["parameters"]["properties"]["note"]["description"] == "What to remember."


def test_the_only_parameter_may_be_a_model_whose_fields_are_the_arguments(offered: dict[str, Any]) -> None:
    assert list(offered["whole"]["parameters"]["properties"]) == ["city", "country"]


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("plain", {"city": "Rome"}, "Rome 2 C"),
        ("plain", {"city": "Rome", "days": "4"}, "Rome 5 C"),  # models write numbers as text
        ("whole", {"city": "Rome"}, '{"city":"Rome"}'),
        ("renamed", {"place": {"city": "Rome"}, "note": "x"}, '{"city":"Rome","country":null}'),
        ("nothing", {}, "null"),
    ],
)
def test_a_call_gives_text_as_it_is_and_everything_else_as_json(
    client: TestClient, name: str, arguments: dict[str, Any], text: str
) -> None:
    answer = client.post(f"/{name}", json=arguments)
    assert (answer.status_code, answer.text) == (200, text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "city: Field required"),
        ({"city": "Rome", "days": "many"}, "days: Input should be a valid integer"),
        ({"city": "Rome", "hours": 3}, "hours: Extra inputs are not permitted"),
    ],
)
def test_wrong_arguments_are_named(client: TestClient, arguments: dict[str, Any], said: str) -> None:
    answer = client.post("/plain", json=arguments)
    assert answer.status_code == 422
    assert said in answer.json()["error"]["reason"]


def test_a_refusal_is_what_the_policy_reads(client: TestClient) -> None:
    assert client.post("/refuse", json={"city": "Rome"}).json()["detail"] == "Rome is closed"


def test_a_method_that_is_not_marked_is_no_route(client: TestClient) -> None:
    assert client.post("/helper", json={"city": "Rome"}).status_code == 404


def _without_hint(self: Any, city) -> str:  # type: ignore[no-untyped-def]
    return str(city)


def _any_number(self: Any, *cities: str) -> str:
    return ""


@pytest.mark.parametrize(
    ("function", "options", "said"),
    [
        (_without_hint, {}, "parameter city needs a type hint"),
        (_any_number, {}, r"\*cities can't be described"),
        (lambda self: "", {"name": "verify"}, "can't be named 'verify'"),
        (lambda self: "", {"name": "a/b"}, "can't be named 'a/b'"),
    ],
)
def test_a_method_that_cannot_be_a_tool_ends_the_making_of_the_class(
    function: Any, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(TypeError, match=said):
        type("Wrong", (Environment,), {"broken": tool(**options)(function), "__module__": __name__})
