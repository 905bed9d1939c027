"""Supervision: a server that dies is started again, a few times within a window, with back-off."""

import asyncio
import signal
import time
from collections.abc import Callable

from nemo_gym.config.errors import ConfigError
from nemo_gym.launch.plan import LaunchOptions
from nemo_gym.launch.processes.managed import ManagedProcess
from nemo_gym.launch.start_error import StartError

_FIRST_DELAY_S = 0.5


async def supervise(
    server: ManagedProcess,
    options: LaunchOptions,
    say: Callable[[str, str], None],
    give_up: Callable[[ManagedProcess], None],
) -> None:
    """Keep one process up until cancelled, or until it has died too often: then it is failed, and `give_up` is told."""
    deaths: list[float] = []
    reason = await server.until_death()
    while True:
        say("", reason)
        now = time.monotonic()
        deaths = [at for at in deaths if now - at < options.restart_window_s] + [now]
        if len(deaths) > options.max_restarts:
            server.state = "failed"
            give_up(server)
            bound = f"{options.max_restarts} restarts in {options.restart_window_s:g} s (max_restarts)"
            say("", f"{server.name} died again after {bound}: not started any more")
            return
        server.state = "restarting"
        await asyncio.sleep(_FIRST_DELAY_S * 2 ** (len(deaths) - 1))
        failure = await _restart(server, options.start_timeout_s)
        if failure is None:
            assert server.process is not None
            say("", f"{server.name} is ready again (pid {server.process.pid})")
            failure = await server.until_death()
        reason = failure


async def _restart(server: ManagedProcess, timeout_s: float) -> str | None:
    """Return None when the server is ready again, else why it is not."""
    try:
        async with asyncio.timeout(timeout_s):
            await server.bring_up()
    except TimeoutError:
        server.signal(signal.SIGKILL)
        return f"{server.name} was not ready within {timeout_s:g} s (start_timeout_s) after its restart: killed"
    except (StartError, ConfigError, OSError) as error:
        return str(error)
    return None
