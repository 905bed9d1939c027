"""What a verifier gets from a judge, and what the judge's answers cost."""

from collections.abc import Iterable

from pydantic import BaseModel, Field

from nemo_gym.models.chat.think import split_thoughts
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses import NeMoGymResponse


class JudgeUsage(BaseModel):
    """Calls to the judge for one rollout, and their tokens; None where an answer doesn't tell."""

    calls: int = 0
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    total_tokens: int | None = 0

    @classmethod
    def of(cls, responses: Iterable[NeMoGymResponse]) -> "JudgeUsage":
        """Add up the usage of several answers."""
        usages = [response.usage for response in responses]
        known = [usage for usage in usages if usage is not None]
        if len(known) < len(usages):
            return cls(calls=len(usages), input_tokens=None, output_tokens=None, total_tokens=None)
        return cls(
            calls=len(known),
            input_tokens=sum(usage.input_tokens for usage in known),
            output_tokens=sum(usage.output_tokens for usage in known),
            total_tokens=sum(usage.total_tokens for usage in known),
        )


class JudgeEvaluation(BaseModel):
    """One call to the judge in full."""

    responses_create_params: JsonObject
    response: NeMoGymResponse


class Judgement(BaseModel):
    """A reward and where it comes from: fields for the verify response.

    A rollout that needs no judge, say because it has no answer, may have one too: `Judgement(reward=0.0,
    judge_verdict="no answer")`.
    """

    reward: float
    judge_verdict: str = Field(description="What the judge said, e.g. its label; or `disagreement`.")
    judge_disagreed: bool | None = Field(
        default=None, description="The two orders have different rewards; null: asked in one order."
    )
    judge_usage: JudgeUsage = Field(default_factory=JudgeUsage)
    judge_answers: list[str] = Field(default=[], description="The judge's texts, in order, without reasoning.")
    judge_evaluations: list[JudgeEvaluation] = Field(
        default=[], exclude=True, description="The calls in full; a verifier adds them to its row if it wants them."
    )


def final_text(response: NeMoGymResponse) -> str:
    """Return the text of the last assistant message, without reasoning and outer whitespace; "" when there is none."""
    messages = [item for item in response.output if getattr(item, "role", None) == "assistant"]
    last = response.model_copy(update={"output": messages[-1:]})
    return split_thoughts(last.output_text).text.strip()
