"""Simple weather: the policy must look the weather up before it answers.

Reward: 1.0 when the policy called `get_weather` at least once and ended with a message, else 0.0; a task that names an
`expected_city` wants a call for that city.
"""

from nemo_gym.environments import BaseResourcesServerConfig, Environment, Rollout, tool


class SimpleWeatherConfig(BaseResourcesServerConfig):
    weather_description: str = "cold"


class SimpleWeatherServer(Environment):
    config: SimpleWeatherConfig

    @tool
    async def get_weather(self, city: str) -> dict[str, str]:
        """Current weather of a city.

        Args:
            city: Name of the city.
        """
        return {"city": city, "weather_description": self.config.weather_description}

    async def reward(self, rollout: Rollout, expected_city: str | None = None) -> float:
        cities = {str((call.arguments or {}).get("city", "")) for call in rollout.calls_of("get_weather")} - {""}
        looked_up = bool(cities) if expected_city is None else expected_city in cities
        return float(looked_up and rollout.text != "")


if __name__ == "__main__":
    SimpleWeatherServer.run_webserver()
