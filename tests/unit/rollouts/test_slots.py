"""How many rollouts run at once, when the endpoint decides."""

import asyncio

import pytest

from nemo_gym.rollouts.slots import AdaptiveSlots, Slots


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


async def test_a_full_house_waits_for_a_release() -> None:
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
