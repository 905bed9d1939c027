"""Record what the engines answer.

    python -m tests.engines.record vllm_open [chat_plain ...]

Starts the profile's engine, sends the named cases, or all of them, and writes `recordings/`.
"""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import httpx

from tests.engines.cases.catalogue import CASES_BY_PROFILE
from tests.engines.engine import PROFILES, Engine
from tests.engines.recordings import Answer, Call, Exchange, Recording, save, stable_answer
from tests.engines.setup_engines import EnginesHome
from tests.free_port import free_port


def send(client: httpx.Client, call: Call) -> Answer:
    """Send a call and return its answer with what differs from run to run replaced."""
    content = {"content": call.text} if call.text is not None else {"json": call.body} if call.body is not None else {}
    request = client.build_request(call.method, call.path, **content)
    request.headers.setdefault("content-type", "application/json")
    if call.key == "wrong":
        request.headers["authorization"] = "Bearer wrong"
    elif call.key == "none":
        del request.headers["authorization"]
    response = client.send(request)
    return stable_answer(response.status_code, response.headers.items(), response.text)


def forget_prompts(client: httpx.Client) -> None:
    """Empty the prefix cache, where the engine lets us: cached prompts are counted in answers."""
    client.post("/reset_prefix_cache")


def record(profile_name: str, names: Sequence[str]) -> None:
    """Record the named cases of a profile; all when there are none."""
    profile = PROFILES[profile_name]
    cases = CASES_BY_PROFILE[profile_name]
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(profile, EnginesHome.from_environment(), free_port(), Path(folder) / "engine.log")
        try:
            engine.start()
            with engine.client() as client:
                for name in names or cases:
                    forget_prompts(client)
                    exchanges = [Exchange(call=call, answer=send(client, call)) for call in cases[name]]
                    save(Recording(name=name, engine=profile.engine, profile=profile_name, exchanges=exchanges))
                    print(name, *(exchange.answer.status for exchange in exchanges), flush=True)
        finally:
            engine.stop()


if __name__ == "__main__":
    record(sys.argv[1], sys.argv[2:])
