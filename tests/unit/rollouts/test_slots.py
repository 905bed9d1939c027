"""How many rollouts run at once, when the endpoint decides."""

import asyncio

import pytest

from nemo_gym.rollouts.slots import DEFAULT_IN_FLIGHT, AdaptiveSlots, InFlight, Slots, limit_note, slots_for
from nemo_gym.servers.http import connections


def limit_at_an_endpoint_of(capacity: int, rollouts: int, slots: AdaptiveSlots) -> int:
    """Finish rollouts at an endpoint that takes 1 s for each up to its capacity, and longer in proportion above."""
    for _ in range(rollouts):
        slots.take_free()
        slots.release(max(1.0, slots.limit / capacity), overloaded=False)
    return slots.limit


def test_adaptive_slots_grow_to_what_the_endpoint_keeps_up_with_and_stay_near_it() -> None:
    slots = AdaptiveSlots()
    assert limit_at_an_endpoint_of(100, 2_000, slots) > 60
    limits = [limit_at_an_endpoint_of(100, 50, slots) for _ in range(100)]
    assert 60 <= min(limits) <= max(limits) <= 320


def test_adaptive_slots_follow_an_endpoint_that_becomes_slower() -> None:
    slots = AdaptiveSlots()
    limit_at_an_endpoint_of(400, 10_000, slots)
    assert limit_at_an_endpoint_of(50, 3_000, slots) < 150


def test_overload_halves_the_slots_once_for_each_window() -> None:
    slots = AdaptiveSlots()
    before = slots.limit
    for _ in range(4):
        slots.take_free()
        slots.release(0.1, overloaded=True)
    assert slots.limit == before // 2


def test_there_is_always_one_slot() -> None:
    slots = AdaptiveSlots()
    for _ in range(500):
        slots.take_free()
        slots.release(0.1, overloaded=True)
        slots.take_free()
        slots.release(0.1, overloaded=False)
    assert slots.limit >= 1


async def test_a_caller_without_a_free_slot_waits_for_a_release() -> None:
    slots = Slots(1)
    await slots.acquire()
    waiting = asyncio.ensure_future(slots.acquire())
    await asyncio.sleep(0)
    assert not waiting.done()
    slots.release(1.0, overloaded=False)
    await waiting
    assert slots.in_use == 1


async def test_a_waiter_that_is_cancelled_takes_no_slot() -> None:
    slots = Slots(1)
    await slots.acquire()
    waiting = asyncio.ensure_future(slots.acquire())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    slots.release(1.0, overloaded=False)
    assert slots.in_use == 0
    assert slots.take_free()


@pytest.fixture
def few_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections.resource, "getrlimit", lambda _: (1_000, 1_000))


@pytest.mark.parametrize(("wanted", "limit"), [(None, DEFAULT_IN_FLIGHT), (7, 7), (5_000, 5_000)])
def test_there_are_as_many_slots_as_are_wanted(wanted: InFlight, limit: int) -> None:
    assert slots_for(wanted).limit == limit


@pytest.mark.usefixtures("few_descriptors")
@pytest.mark.parametrize("wanted", [None, 5_000, "auto"])
def test_there_are_never_more_slots_than_connections(wanted: InFlight) -> None:
    slots = slots_for(wanted)
    if isinstance(slots, AdaptiveSlots):
        limit_at_an_endpoint_of(1_000, 2_000, slots)
    assert slots.limit == 292
    assert "at most 292 rollouts run at once, because this process may have 1,000 files open" in str(
        limit_note(wanted, 5_000)
    )
    assert limit_note(wanted, 292) is None


def test_the_default_limit_is_told_only_when_it_limits() -> None:
    assert "num_samples_in_parallel=N" in str(limit_note(None, DEFAULT_IN_FLIGHT + 1))
    assert limit_note(None, DEFAULT_IN_FLIGHT) is None
    assert limit_note(16, 100_000) is None
