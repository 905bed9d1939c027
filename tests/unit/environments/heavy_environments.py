"""Environments with methods that compute for long; processes of heavy work import this file."""

import os
from dataclasses import dataclass, field

from nemo_gym.environments import (
    BaseResourcesServerConfig,
    Environment,
    HeavyWorkConfig,
    Rollout,
    ToolError,
    Verdict,
    single_answer,
    tool,
    verifier,
)
from nemo_gym.wire.failure import rollout_error
from tests.unit.environments import heavy_functions as work


class HeavyConfig(BaseResourcesServerConfig):
    factor: int = 1
    heavy_work: HeavyWorkConfig = HeavyWorkConfig(max_processes=1, cpu_limit_s=0.5)


@dataclass
class Notes:
    words: list[str] = field(default_factory=list)


class Factors(Environment):
    config: HeavyConfig

    @tool
    def note(self, state: Notes, word: str) -> str:
        """Keep a word."""
        state.words.append(word)
        return "kept"

    @tool(cpu_heavy=True)
    def multiply(self, number: int) -> dict[str, int]:
        """Multiply a number."""
        if number == 0:
            raise ToolError("zero is too easy")
        if number < 0:
            work.spin()
        return {"product": self.config.factor * number, "pid": os.getpid()}

    @verifier(cpu_heavy=True)
    def reward(self, rollout: Rollout, state: Notes, wanted: str) -> Verdict:
        match wanted:
            case "lost":
                raise rollout_error("session_lost", "as the verifier says")
            case "error":
                raise ValueError("a fault of the verifier")
            case "for ever":
                work.backtrack()
        parts = {"said": float(rollout.text == wanted), "noted": float(wanted in state.words)}
        return Verdict.of_parts(parts, pid=os.getpid())


@single_answer(cpu_heavy=True, reward_over_limit=0.25)
def patient(answer: str, wanted: str) -> float:
    if answer == "for ever":
        work.spin()
    return float(answer == wanted)
