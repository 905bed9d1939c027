"""The connections of a process: requests wait for one outside their deadline, and a program ends without a warning."""

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from nemo_gym.servers.http import connections
from nemo_gym.servers.http.connections import ConnectionTurns, close_global_aiohttp_client
from nemo_gym.servers.http.transport import Deadline, request

LATENCY_S = 0.2


@pytest.fixture
async def slow_url(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """A server that takes `LATENCY_S` for an answer, in a process that may have two connections."""

    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(LATENCY_S)
        return web.json_response({})

    monkeypatch.setattr(connections, "_SHARE_OF_DESCRIPTORS", 0)
    monkeypatch.setattr(connections, "_FEWEST_CONNECTIONS", 2)
    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await close_global_aiohttp_client()
    await runner.cleanup()


async def test_the_wait_for_a_connection_is_no_part_of_the_deadline(slow_url: str) -> None:
    deadline = Deadline(3 * LATENCY_S, "a test's bound")  # five rounds of two wait longer than that
    answers = await asyncio.gather(*(request("GET", slow_url, deadline=deadline) for _ in range(10)))
    assert [answer.status for answer in answers] == [200] * 10


async def test_turns_come_in_order_and_cancelled_waiters_take_none() -> None:
    turns, order = ConnectionTurns(1), []

    async def take(number: int) -> None:
        async with turns:
            order.append(number)
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(take(number)) for number in range(5)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [0, 1, 3, 4]


async def test_a_waiter_cancelled_as_its_turn_comes_passes_it_on() -> None:
    turns = ConnectionTurns(1)
    await turns.__aenter__()
    waiting = asyncio.create_task(turns.__aenter__())
    await asyncio.sleep(0)
    await turns.__aexit__()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.wait_for(turns.__aenter__(), 1)


PROGRAM = """
    import asyncio
    from aiohttp import web
    from nemo_gym.server_utils import request

    async def main():
        async def answer(_): return web.json_response({})
        app = web.Application()
        app.router.add_get("/", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print((await request("GET", f"http://127.0.0.1:{runner.addresses[0][1]}/")).status)
        await runner.cleanup()

"""
ENDINGS = {
    "asyncio.run": "asyncio.run(main())",
    "uvloop": "__import__('uvloop').run(main())",
    "closed-by-hand": "for _ in range(2):\n    loop = asyncio.new_event_loop()\n"
    "    loop.run_until_complete(main())\n    loop.close()",
    "never-closed": "asyncio.new_event_loop().run_until_complete(main())",
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_a_program_that_never_closes_the_client_ends_without_a_word(ending: str) -> None:
    code = textwrap.dedent(PROGRAM) + ending
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stdout.split()[0] == "200"
    assert (done.returncode, done.stderr) == (0, "")
