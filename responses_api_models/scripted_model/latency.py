"""Latency: a fixed time, or a range from which each request draws its own."""

from typing import Annotated

from pydantic import AfterValidator, Field

Seconds = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]


def _ordered(latency: float | tuple[float, float]) -> float | tuple[float, float]:
    if isinstance(latency, tuple) and latency[0] > latency[1]:
        raise ValueError(f"the range runs backwards: {latency[0]} > {latency[1]}; write [min, max]")
    return latency


Latency = Annotated[Seconds | tuple[Seconds, Seconds], AfterValidator(_ordered)]
"""Seconds: a number, or `[min, max]` for a uniform draw."""


def draw_latency_s(latency: float | tuple[float, float], chance: float) -> float:
    """Return this request's latency in seconds.

    Args:
        latency: Seconds, or the two ends of the range in seconds.
        chance: The request's draw, in [0, 1).
    """
    if isinstance(latency, tuple):
        return latency[0] + (latency[1] - latency[0]) * chance
    return latency
