"""Ask the running weather agent one question and print what happened.

usage: python responses_api_agents/simple_agent/client.py   (while ng_run is up)
"""

import asyncio
import json
import sys

from nemo_gym.global_config import ConfigError
from nemo_gym.openai_utils import NeMoGymResponseCreateParamsNonStreaming
from nemo_gym.server_utils import ServerClient, get_response_json, raise_for_status

AGENT = "simple_weather_simple_agent"
QUESTION = NeMoGymResponseCreateParamsNonStreaming(
    input=[
        {"role": "developer", "content": "You are a helpful assistant."},
        {"role": "user", "content": "What is the weather in Seattle?"},
    ],
)


async def main() -> None:
    client = ServerClient.load_from_global_config()
    answer = await client.post(server_name=AGENT, url_path="/v1/responses", json=QUESTION)
    await raise_for_status(answer)
    print(json.dumps((await get_response_json(answer))["output"], indent=4))


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except ConfigError as error:
        sys.exit(str(error))
