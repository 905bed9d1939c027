"""The drivers of a collection: hands rollouts to them, and survives those that die."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import msgspec

from nemo_gym.collections.outcomes import Outcome
from nemo_gym.collections.writing.writer import Output
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.rollouts.drivers import messages
from nemo_gym.rollouts.drivers.channel import Channel
from nemo_gym.rollouts.drivers.process import StartDriver, StartedDriver
from nemo_gym.rollouts.drivers.running import RunningRollout
from nemo_gym.rollouts.progress import say
from nemo_gym.rollouts.runner import RunnerLostError, Work
from nemo_gym.rollouts.token_data.masking import MaskedExample

_READY_WITHIN_S = 60.0
_RESTARTS = 3


@dataclass
class _Driver:
    """A driver and what it runs. `ending`: how it ended, in words."""

    channel: Channel[messages.FromDriver]
    ready: asyncio.Future[None]
    running: dict[messages.Key, RunningRollout] = field(default_factory=dict)
    ending: str = ""


class DriverPool:
    """Runs rollouts in drivers, each as soon as it is given. Enter it, and the drivers are up.

    What a driver that dies was running is attempted again elsewhere, and another driver takes its place, a few times.

    Args:
        start: Starts one driver.
        settings: What every driver is told first.
        output: The files of the collection, of which drivers know nothing.
        on_example: Told of rollouts whose token data is wrong.

    Attributes:
        retries: Attempts so far that followed a failed one.

    Raises:
        ConfigError: A driver doesn't start.
    """

    def __init__(
        self,
        start: StartDriver,
        settings: messages.Settings,
        output: Output,
        on_example: Callable[[MaskedExample], None],
        num_drivers: int,
    ) -> None:
        self.retries = 0
        self._start = start
        self._settings = settings
        self._output = output
        self._on_example = on_example
        self._num_drivers = num_drivers
        self._places: set[asyncio.Task[None]] = set()
        self._drivers: list[_Driver] = []
        self._waiting: list[RunningRollout] = []
        """Rollouts for the next driver that is ready, while there is none."""
        self._is_stopped = False

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        first = [loop.create_future() for _ in range(self._num_drivers)]
        self._places = {asyncio.create_task(self._keep_one(is_up)) for is_up in first}
        try:
            await asyncio.gather(*first)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        for place in self._places:
            place.cancel()
        await asyncio.gather(*self._places, return_exceptions=True)

    async def outcome(self, work: Work) -> Outcome:
        """Return the outcome of one rollout; raises RunnerLostError when no driver is left."""
        rollout = RunningRollout.begin(work, self._settings.agent_name, self._output)
        self._hand_over(rollout)
        return await rollout.outcome

    def stop(self) -> None:
        """Begin no further attempts."""
        self._is_stopped = True
        for driver in self._drivers:
            driver.channel.send(messages.Stop())

    def _hand_over(self, rollout: RunningRollout) -> None:
        """Give a rollout to the driver that has the fewest. It is in the journal first: a kill can't hide it."""
        if not self._drivers:
            if not self._places:
                raise RunnerLostError("no driver is left: each died again and again")
            self._waiting.append(rollout)
            return
        rollout.dispatched()
        driver = min(self._drivers, key=lambda one: len(one.running))
        driver.running[rollout.attempt.key] = rollout
        driver.channel.send(rollout.message(self._settings.max_attempts))

    def _on_message(self, driver: _Driver, message: messages.FromDriver) -> None:
        if isinstance(message, messages.Ready):
            driver.ready.set_result(None)
            return
        rollout = driver.running.get(message.key)
        if rollout is None or rollout.outcome.done():  # cut off meanwhile
            return
        with rollout.errors_are_its_outcome():
            rollout.take(message)
        if rollout.outcome.done():
            del driver.running[message.key]
        if isinstance(message, messages.AttemptFailed):
            self.retries += 1
        elif isinstance(message, messages.Verified) and message.example is not None:
            self._on_example(message.example)

    # Keeping drivers up.

    async def _keep_one(self, is_up: "asyncio.Future[None]") -> None:
        """Run a driver, and another when it dies, a few times; `is_up` is done when the first one is ready."""
        try:
            for _ in range(1 + _RESTARTS):
                async with self._started() as driver:
                    await self._use(driver, is_up)
                if not is_up.done():
                    raise _not_started(f"{driver.ending} before it was ready")
                self._attempt_again(driver)
        except Exception as error:
            if is_up.done():
                say(f"{error}\na driver is not replaced any more")
            else:
                is_up.set_exception(error)
        finally:
            self._places.remove(asyncio.current_task())  # type: ignore[arg-type]  # there is one
            self._hand_waiting_over()

    @asynccontextmanager
    async def _started(self) -> AsyncIterator[_Driver]:
        """Give a driver that has been started; afterwards it is gone."""
        driver = _Driver(Channel(messages.FromDriver), asyncio.get_running_loop().create_future())
        try:
            started = await self._start()
        except OSError as error:
            raise _not_started(f"a driver can't be started: {error}") from error
        try:
            await self._open(driver, started)
            driver.channel.send(msgspec.structs.replace(self._settings, proof=started.proof))
            yield driver
        finally:
            driver.channel.close()
            driver.ending = f"a driver of the collection ({started.name}) {await started.end()}"

    async def _open(self, driver: _Driver, started: StartedDriver) -> None:
        try:
            await driver.channel.open(
                started.connection, lambda message: self._on_message(driver, message), started.tls, started.peer
            )
        except OSError as error:
            raise _not_started(f"a driver ({started.name}) can't be trusted, or is gone: {error}") from error

    async def _use(self, driver: _Driver, is_up: "asyncio.Future[None]") -> None:
        """Give a driver work until it has died; return at once when it isn't ready in time."""
        waits: list[asyncio.Future[None]] = [driver.ready, driver.channel.ended]
        await asyncio.wait(waits, timeout=_READY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
        if not driver.ready.done():
            return
        if not is_up.done():
            is_up.set_result(None)
        if self._is_stopped:
            driver.channel.send(messages.Stop())
        self._drivers.append(driver)
        try:
            self._hand_waiting_over()
            await driver.channel.ended
        finally:
            self._drivers.remove(driver)

    def _attempt_again(self, driver: _Driver) -> None:
        say(f"{driver.ending} while it ran {len(driver.running)} rollouts")
        max_attempts = 1 if self._is_stopped else self._settings.max_attempts
        for rollout in driver.running.values():
            if rollout.outcome.done():
                continue
            with rollout.errors_are_its_outcome():
                if rollout.lose_driver(driver.ending, max_attempts):
                    self.retries += 1
                    self._hand_over(rollout)

    def _hand_waiting_over(self) -> None:
        waiting, self._waiting = self._waiting, []
        for rollout in waiting:
            with rollout.errors_are_its_outcome():
                self._hand_over(rollout)


def _not_started(what: str) -> ConfigError:
    fix = "its own words are above; without num_drivers a collection runs in one process"
    return ConfigError(Mistake(what, where="num_drivers", fix=fix))
