"""Simple weather: the policy must look the weather up before it answers.

One tool, `/get_weather`. No state per session.
Reward: 1.0 when the policy called `get_weather` at least once and ended with a message, else 0.0; a task that names an
`expected_city` wants a call for that city.
"""

from fastapi import FastAPI
from pydantic import BaseModel, Field

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
    tool_arguments,
)
from nemo_gym.openai_utils import NeMoGymResponse, NeMoGymResponseFunctionToolCall


class SimpleWeatherConfig(BaseResourcesServerConfig):
    weather_description: str = Field(default="cold", description="The weather everywhere.")


class GetWeatherRequest(BaseModel):
    city: str = Field(description="Name of the city.")


class GetWeatherResponse(BaseModel):
    city: str
    weather_description: str


class SimpleWeatherVerifyRequest(BaseVerifyRequest):
    expected_city: str | None = None


class SimpleWeatherServer(SimpleResourcesServer):
    config: SimpleWeatherConfig
    verifier_reads_token_arrays = False

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/get_weather")(self.get_weather)
        return app

    async def get_weather(self, body: GetWeatherRequest) -> GetWeatherResponse:
        """Current weather of a city."""
        return GetWeatherResponse(city=body.city, weather_description=self.config.weather_description)

    async def verify(self, body: SimpleWeatherVerifyRequest) -> BaseVerifyResponse:
        cities = cities_asked_for(body.response)
        looked_up = bool(cities) if body.expected_city is None else body.expected_city in cities
        answered = bool(body.response.output) and body.response.output[-1].type == "message"
        return BaseVerifyResponse(**body.model_dump(), reward=float(looked_up and answered))


def cities_asked_for(response: NeMoGymResponse) -> list[str]:
    """Return the cities of all well-formed `get_weather` calls, in order."""
    cities = []
    for item in response.output:
        if isinstance(item, NeMoGymResponseFunctionToolCall) and item.name == "get_weather":
            city = (tool_arguments(item.arguments) or {}).get("city")
            if isinstance(city, str):
                cities.append(city)
    return cities


if __name__ == "__main__":
    SimpleWeatherServer.run_webserver()
