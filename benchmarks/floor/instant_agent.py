"""An agent that answers POST /run at once with a prepared weather rollout, and the head of the run it is in.

What is left is the cost of whoever asks. usage: python -m benchmarks.floor.instant_agent --port P
"""

import argparse
import asyncio
import json

import uvloop

from benchmarks.floor.episode import Episode, packet
from benchmarks.floor.mock_openai import Connection, Endpoint

AGENT = "instant"


class InstantAgent(Connection):
    """One connection: requests in, the same rollout out."""

    def __init__(self, endpoint: Endpoint, answers: dict[bytes, bytes]) -> None:
        super().__init__(endpoint)
        self._answers = answers

    def _answer(self, head: bytes, body: bytes) -> None:
        self._write(self._answers[head.split(b" ", 2)[1]])


def answers(port: int) -> dict[bytes, bytes]:
    """Return the answer of each path: the agent's, and what a collector asks a head."""
    instance = {"entrypoint": "app.py", "host": "127.0.0.1", "port": port}
    config = json.dumps({AGENT: {"responses_api_agents": {AGENT: instance}}})  # JSON is YAML
    _, _, body = Episode(tool_calls=0).answer(0, is_chat=False).partition(b"\r\n\r\n")
    response = json.loads(body)
    response["output"] *= 3  # as long as one with a call and its result
    rollout = {"responses_create_params": {"input": "What is the weather?"}, "response": response, "reward": 1.0}
    found = {"/run": rollout, "/global_config_dict_yaml": config, "/server_instances": [], "/health": {"run": AGENT}}
    return {path.encode(): packet(json.dumps(answer).encode()) for path, answer in found.items()}


async def _serve(port: int) -> None:
    endpoint, prepared = Endpoint(Episode(0), 0.0, keeps_step_times=False), answers(port)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: InstantAgent(endpoint, prepared), "127.0.0.1", port, backlog=65_535)
    await server.serve_forever()


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(_serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
