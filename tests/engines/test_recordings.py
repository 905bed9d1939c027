"""Real engines still answer as recorded: the same keys, types, texts and token ids; numbers within rounding."""

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.engines.engine import Engine
from tests.engines.record import forget_prompts, send
from tests.engines.recordings import FOLDER, Recording, load

pytestmark = pytest.mark.engines

# Log-probabilities differ in the last digits between CPUs, and after another prompt was cached.
_LOG_PROB_TOLERANCE = 1e-2


def _recorded() -> Iterator[Any]:
    engines = sorted(path.name for path in FOLDER.iterdir() if path.name != "by_format")
    found = [recording for engine in engines for recording in load(engine).values()]
    for recording in sorted(found, key=lambda one: str(one.profile)):
        yield pytest.param(recording, id=f"{recording.profile}-{recording.name}")


def _differences(recorded: Any, answered: Any, path: str = "") -> list[str]:
    if isinstance(recorded, float) and isinstance(answered, float):
        same = math.isclose(recorded, answered, abs_tol=_LOG_PROB_TOLERANCE, rel_tol=_LOG_PROB_TOLERANCE)
        return [] if same else [f"{path}: {recorded} was recorded, now {answered}"]
    if isinstance(recorded, dict) and isinstance(answered, dict) and recorded.keys() == answered.keys():
        return [line for key in recorded for line in _differences(recorded[key], answered[key], f"{path}.{key}")]
    if isinstance(recorded, list) and isinstance(answered, list) and len(recorded) == len(answered):
        pairs = enumerate(zip(recorded, answered, strict=True))
        return [line for number, pair in pairs for line in _differences(*pair, f"{path}[{number}]")]
    return [] if recorded == answered else [f"{path}: {recorded!r} was recorded, now {answered!r}"]


@pytest.mark.parametrize("recording", list(_recorded()))
def test_engine_answers_as_recorded(recording: Recording, engine_of: Callable[[str], Engine]) -> None:
    assert recording.profile is not None
    engine = engine_of(recording.profile)
    with engine.client() as client:
        forget_prompts(client)
        answers = [send(client, exchange.call) for exchange in recording.exchanges]
    recorded = [exchange.answer for exchange in recording.exchanges]
    differences = _differences([one.model_dump() for one in recorded], [one.model_dump() for one in answers])
    assert not differences, "\n".join(differences)
