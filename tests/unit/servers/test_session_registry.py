"""The rules of sessions, on the registry itself."""

import asyncio
from typing import Any

import pytest

from nemo_gym.servers.sessions.registry import SessionRegistry
from nemo_gym.wire.failure import RolloutError

ID = "session-of-the-test"


class Environment:
    """A registry whose clean-ups are written down; seeds and clean-ups wait for `goes_on`, set at first."""

    def __init__(self, idle_limit_s: float = 60, clean_up_error: Exception | None = None) -> None:
        self.cleaned: list[str] = []
        self.seeded = 0
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self._clean_up_error = clean_up_error
        self.registry = SessionRegistry(list, self._clean_up, idle_limit_s)

    async def _clean_up(self, session_id: str, state: Any) -> None:
        await self.goes_on.wait()
        self.cleaned.append(session_id)
        if self._clean_up_error is not None:
            raise self._clean_up_error

    async def seed(self, payload: bytes = b"row", error: Exception | None = None) -> Any:
        async def answer() -> int:
            await self.goes_on.wait()
            if error is not None:
                raise error
            self.seeded += 1
            return self.seeded

        return await self.registry.seed(ID, payload, answer)

    async def failure_inside(self) -> RolloutError:
        with pytest.raises(RolloutError) as caught:
            async with self.registry.inside(ID):
                pass
        return caught.value


async def test_seeding_again_with_the_same_payload_answers_as_the_first_time() -> None:
    environment = Environment()
    assert [await environment.seed(), await environment.seed()] == [1, 1]


async def test_seeding_twice_at_once_seeds_once() -> None:
    environment = Environment()
    environment.goes_on.clear()
    seeding = asyncio.gather(environment.seed(), environment.seed())
    await asyncio.sleep(0)
    environment.goes_on.set()
    answers = await seeding
    assert list(answers) == [1, 1]


async def test_seeding_again_with_another_payload_is_refused_and_the_session_stays() -> None:
    environment = Environment()
    await environment.seed()
    with pytest.raises(RolloutError, match="another payload"):
        await environment.seed(b"another row")
    assert environment.registry.state(ID) == []


@pytest.mark.parametrize(
    ("ending", "kind", "words"),
    [
        ("never opened", "session_lost", "not seeded here, or the server restarted"),
        ("closed", "session_lost", "is closed"),
        ("expired", "session_expired", "setting session_idle_limit_s"),
    ],
)
async def test_a_call_without_an_open_session_says_why(ending: str, kind: str, words: str) -> None:
    environment = Environment()
    if ending != "never opened":
        await environment.seed()
        await environment.registry.close(ID, ending=ending)
    failure = (await environment.failure_inside()).failure
    assert failure.kind == kind
    assert words in failure.reason
    assert failure.status == 409


async def test_a_closed_session_cannot_be_seeded_again() -> None:
    environment = Environment()
    await environment.seed()
    assert await environment.registry.close(ID)
    assert not await environment.registry.close(ID)
    with pytest.raises(RolloutError, match="is closed"):
        await environment.seed()
    assert environment.cleaned == [ID]


async def test_a_seed_that_arrives_after_its_close_opens_nothing() -> None:
    environment = Environment()
    assert not await environment.registry.close(ID)
    with pytest.raises(RolloutError, match="is closed"):
        await environment.seed()


async def test_a_session_expires_when_idle_and_not_while_a_call_is_inside() -> None:
    environment = Environment(idle_limit_s=0.3)
    await environment.seed()
    async with environment.registry.inside(ID):
        await asyncio.sleep(0.35)
        assert await environment.registry.expire_idle() == 0
    assert await environment.registry.expire_idle() == 0, "its time begins anew after a call"
    await asyncio.sleep(0.35)
    assert await environment.registry.expire_idle() == 1
    assert environment.cleaned == [ID]


async def test_a_session_does_not_expire_while_it_is_seeded() -> None:
    environment = Environment(idle_limit_s=0.01)
    environment.goes_on.clear()
    seeding = asyncio.create_task(environment.seed())
    await asyncio.sleep(0.03)
    assert await environment.registry.expire_idle() == 0
    environment.goes_on.set()
    assert await seeding == 1


async def test_a_seed_whose_first_caller_left_still_answers_the_replay() -> None:
    environment = Environment()
    environment.goes_on.clear()
    first = asyncio.create_task(environment.seed())
    await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    environment.goes_on.set()
    assert await environment.seed() == 1


async def test_closing_during_the_seed_ends_the_seed_and_its_caller_reads_why() -> None:
    environment = Environment()
    environment.goes_on.clear()
    seeding = asyncio.create_task(environment.seed())
    await asyncio.sleep(0.01)
    environment.goes_on.set()
    assert await environment.registry.close(ID)
    with pytest.raises(RolloutError, match="is closed"):
        await seeding
    assert (environment.seeded, environment.cleaned) == (0, [ID])


async def test_a_failed_seed_is_cleaned_up_and_its_error_passes() -> None:
    environment = Environment()
    with pytest.raises(ValueError, match="bad row"):
        await environment.seed(error=ValueError("bad row"))
    assert (len(environment.registry), environment.cleaned) == (0, [ID])


async def test_a_clean_up_that_raises_keeps_nothing_else_from_being_cleaned_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    environment = Environment(idle_limit_s=0.001, clean_up_error=RuntimeError("disk"))
    await environment.seed()
    await asyncio.sleep(0.01)
    assert await environment.registry.expire_idle() == 1
    assert "disk" in caplog.text


async def test_a_clean_up_goes_on_when_whoever_closed_leaves() -> None:
    environment = Environment()
    await environment.seed()
    environment.goes_on.clear()
    closing = asyncio.create_task(environment.registry.close(ID))
    await asyncio.sleep(0.01)
    closing.cancel()
    environment.goes_on.set()
    await environment.registry.close_all()
    assert environment.cleaned == [ID]
