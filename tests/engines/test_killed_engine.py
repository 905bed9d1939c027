"""What a client sees of an engine that is killed in the middle of an answer, is down, is starting, and is back."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.engines.cases.requests import CAPITAL, HI, chat
from tests.engines.engine import Engine
from tests.engines.record import send
from tests.engines.recordings import load

pytestmark = pytest.mark.engines

_BEGIN_BOUND_S = 120.0


def _wait_until_busy(engine: Engine) -> None:
    deadline = time.monotonic() + _BEGIN_BOUND_S
    while time.monotonic() < deadline:
        lines = httpx.get(f"{engine.url}/metrics", timeout=30).text.splitlines()
        running = [line for line in lines if line.startswith("vllm:num_requests_running")]
        if running and float(running[0].split()[-1]) > 0:
            return
        time.sleep(0.1)
    raise AssertionError("the engine didn't begin to answer")


def test_killed_engine_breaks_the_connection_then_refuses_then_answers_as_before(
    engine_of: Callable[[str], Engine],
) -> None:
    engine = engine_of("vllm_open")
    endless = chat(HI, max_tokens=900, ignore_eos=True)
    with engine.client() as client, ThreadPoolExecutor(1) as caller:
        answer = caller.submit(send, client, endless)
        _wait_until_busy(engine)
        engine.kill()
        with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
            answer.result(timeout=60)
        with pytest.raises(httpx.ConnectError):
            send(client, chat(CAPITAL))
        engine.launch()
        with pytest.raises(httpx.ConnectError):
            send(client, chat(CAPITAL))
        engine.wait_until_healthy()
        recorded = load(engine.profile.engine)["chat_plain"].exchanges[0]
        body = send(client, recorded.call).body
    assert isinstance(body, dict)
    assert body["choices"] == recorded.answer.body["choices"]  # type: ignore[index]
