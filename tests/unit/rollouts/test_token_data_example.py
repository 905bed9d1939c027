"""The example in the summary: decoded by the first model server of the agent that can, and shown without, in time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from omegaconf import DictConfig

from nemo_gym.collections.token_data.check import Violation
from nemo_gym.collections.token_data.mismatch import first_mismatch
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.rollouts.token_data.example import example_lines
from nemo_gym.rollouts.token_data.masking import MaskedExample
from nemo_gym.servers.http.client import ServerClient
from nemo_gym.servers.http.connections import close_global_aiohttp_client
from tests.bounds import HANGS_AFTER_S, NEVER_S

Answer = Callable[[list[int]], Awaitable[web.Response]]
MISMATCH = first_mismatch((b"[72,105]", b"[33]"), b"[72,105]", earlier_call=1, call=2)
assert MISMATCH is not None
EXAMPLE = MaskedExample(4, 1, "agent", Violation(MISMATCH.words(), MISMATCH))
IDS_ALONE = [
    "token_data_invalid, the first one masked, task 4, repeat 1: model call 2: prompt_token_ids don't begin with the 2 "
    "prompt and 1 generated ids of call 1: position 2 (id 0 that call 1 generated; counted from 0) is missing, "
    "the prompt has only 2",
    "  call 1, ids from position 0 on: 72, 105, >33<",
    "  call 2, ids from position 0 on: 72, 105, >end<",
]


class Models:
    """Model servers `first` and `second` of one agent, whose `/detokenize` answers as a test says."""

    def __init__(self, ports: dict[str, int]) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        blocks = {name: {"responses_api_models": {"any": _address(port)}} for name, port in ports.items()}
        refs = {f"{name}_server": {"type": "responses_api_models", "name": name} for name in ports}
        agent = {"agent": {"responses_api_agents": {"any": {**_address(1), **refs}}}}
        self.client = ServerClient(BaseServerConfig(host="127.0.0.1", port=1), DictConfig({**blocks, **agent}))


def _address(port: int) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": port}


@pytest.fixture
async def models() -> AsyncIterator[Models]:
    made: list[Models] = []
    runners: dict[str, web.AppRunner] = {}

    def handler(name: str) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def detokenize(request: web.Request) -> web.Response:
            made[0].asked.append(name)
            return await made[0].answers[name]((await request.json())["tokens"])

        return detokenize

    for name in ("first", "second"):
        app = web.Application()
        app.router.add_post("/detokenize", handler(name))
        runners[name] = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runners[name].setup()
        await web.TCPSite(runners[name], "127.0.0.1", 0).start()
    made.append(Models({name: runner.addresses[0][1] for name, runner in runners.items()}))
    yield made[0]
    await close_global_aiohttp_client()
    for runner in runners.values():
        await runner.cleanup()


async def decode(tokens: list[int]) -> web.Response:
    return web.json_response({"prompt": bytes(tokens).decode()})


async def never(tokens: list[int]) -> web.Response:
    await asyncio.sleep(NEVER_S)
    return await decode(tokens)


def always(status: int, text: str) -> Answer:
    async def answer(tokens: list[int]) -> web.Response:
        return web.Response(status=status, text=text)

    return answer


async def test_both_sides_are_decoded_by_the_first_server_that_can(models: Models) -> None:
    models.answers = {"first": always(404, "no such route"), "second": decode}
    headline, earlier, later = IDS_ALONE
    assert await example_lines(models.client, EXAMPLE, HANGS_AFTER_S) == [
        headline,
        earlier,
        '  call 1, decoded: "Hi" then "!"',
        later,
        '  call 2, decoded: "Hi" then ""',
    ]
    assert models.asked[-1] == "second"


@pytest.mark.parametrize(
    "answer",
    [always(200, "[]"), always(200, "not JSON"), always(200, '{"prompt": 3}'), always(422, "{}"), always(200, "null")],
    ids=["list", "no-json", "no-text", "refused", "null"],
)
async def test_an_answer_of_another_kind_leaves_the_ids_alone(answer: Answer, models: Models) -> None:
    models.answers = {"first": answer, "second": answer}
    assert await example_lines(models.client, EXAMPLE, HANGS_AFTER_S) == IDS_ALONE
    assert set(models.asked) == {"first", "second"}


async def test_a_server_that_never_answers_is_waited_for_no_longer_than_the_bound(models: Models) -> None:
    models.answers = {"first": never, "second": never}
    async with asyncio.timeout(HANGS_AFTER_S):
        assert await example_lines(models.client, EXAMPLE, 0.2) == IDS_ALONE


async def test_what_is_no_difference_of_ids_is_told_in_one_line(models: Models) -> None:
    example = MaskedExample(0, 0, "agent", Violation("model call 1: prompt_token_ids is empty"))
    (line,) = await example_lines(models.client, example)
    assert line.endswith("task 0, repeat 0: model call 1: prompt_token_ids is empty")
    assert not models.asked
