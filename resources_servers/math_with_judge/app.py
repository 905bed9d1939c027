"""Mathematics: the policy's answer must be equal to the expected one.

No tools, no state. Reward: 1.0 when math-verify finds an equal answer in the text; else, where a judge is configured,
1.0 when it calls the answer equivalent in both orders of the two; else 0.0.
"""

from typing import Any

from pydantic import Field, PrivateAttr

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.schema import ModelServerRef
from nemo_gym.environments import (
    BaseResourcesServerConfig,
    Environment,
    HeavyWorkConfig,
    Rollout,
    Verdict,
    WorkError,
    boxed_answer,
)
from nemo_gym.judge import Judge, JudgeConfig, Judgement
from nemo_gym.models.chat.think import split_thoughts
from nemo_gym.wire.json_object import JsonObject
from resources_servers.math_with_judge.judging import PROMPT, SYSTEM, first_label
from resources_servers.math_with_judge.symbolic import compare

_EQUAL = 0.5  # above it the judge isn't asked


class LibraryJudgeMathResourcesServerConfig(BaseResourcesServerConfig):
    should_use_judge: bool = Field(default=True, description="Ask a judge about answers that aren't found equal.")
    judge_model_server: ModelServerRef | None = Field(default=None, description="The model server of the judge.")
    judge_responses_create_params: JsonObject = Field(default={}, description="Parameters of every call to it.")
    judge_system: str = Field(default=SYSTEM, description="What the judge is told first.")
    judge_prompt: str = Field(default=PROMPT, description="What it is asked: {question}, {expected}, {generated}.")
    heavy_work: HeavyWorkConfig = HeavyWorkConfig()


class LibraryJudgeMathResourcesServer(Environment):
    config: LibraryJudgeMathResourcesServerConfig
    _judge: Judge | None = PrivateAttr(default=None)

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        if self.config.should_use_judge:
            self._judge = Judge(self.server_client, _judge_config(self.config), parser=first_label)

    async def reward(self, rollout: Rollout, question: str, expected_answer: str) -> Verdict:
        text = split_thoughts("".join(rollout.texts)).text
        library_reward, extracted = await self._compare(expected_answer, text, question)
        fields = {"library_reward": library_reward, "extracted_answer": extracted, "judge_evaluations": None}
        if self._judge is None or library_reward > _EQUAL or not text.strip():
            return Verdict(library_reward, fields=fields)
        judgements = await self._judged(self._judge, question, expected_answer, extracted or text)
        evaluations = [one for judgement in judgements for one in judgement.judge_evaluations]
        return Verdict(judgements[-1].reward, fields={**fields, "judge_evaluations": evaluations})

    async def _compare(self, expected: str, text: str, question: str) -> tuple[float, str | None]:
        try:
            reward, extracted = await self.heavy_work.run(compare, expected, text, boxed_answer(text), question)
        except WorkError:  # it can't be read as mathematics, or computes for ever: no answer that counts
            return 0.0, None
        return reward, extracted

    async def _judged(self, judge: Judge, question: str, expected: str, generated: str) -> list[Judgement]:
        first = await judge.ask(question=question, expected=expected, generated=generated)
        if not first.reward:
            return [first]
        return [first, await judge.ask(question=question, expected=generated, generated=expected)]


def _judge_config(config: LibraryJudgeMathResourcesServerConfig) -> JudgeConfig:
    if config.judge_model_server is None:
        fix = "name a model server, or set should_use_judge=false"
        raise ConfigError(
            Mistake("should_use_judge is on, and there is no judge", f"{config.name}.judge_model_server", fix=fix)
        )
    return JudgeConfig(
        judge_model_server=config.judge_model_server,
        judge_responses_create_params=config.judge_responses_create_params,
        system=config.judge_system,
        prompt=config.judge_prompt,
    )


if __name__ == "__main__":
    LibraryJudgeMathResourcesServer.run_webserver()
