"""What a verifier gets from a judge, and what the judge's answers cost."""

from pydantic import BaseModel, Field

from nemo_gym.models.chat.think import split_thoughts
from nemo_gym.wire.environment import ModelUsage
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.openai.responses import NeMoGymResponse


class JudgeUsage(ModelUsage):
    """Calls to the judge for one rollout, and their tokens; None where an answer doesn't tell."""


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
