"""Judged answers: short questions, whose answers another model compares with a reference.

No tools, no state. Reward: 1.0 when the judge calls the answer equivalent to the task's `expected_answer`, in both
orders of the two, else 0.0; an empty answer is 0.0 without a call.
"""

from typing import Any

from pydantic import PrivateAttr

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
)
from nemo_gym.judge import Judge, JudgeConfig, Judgement, final_text


class JudgedAnswersConfig(BaseResourcesServerConfig):
    judge: JudgeConfig


class JudgedAnswersVerifyRequest(BaseVerifyRequest):
    question: str
    expected_answer: str


class JudgedAnswersVerifyResponse(JudgedAnswersVerifyRequest, BaseVerifyResponse, Judgement):
    pass


class JudgedAnswersServer(SimpleResourcesServer):
    config: JudgedAnswersConfig
    verifier_reads_token_arrays = False
    _judge: Judge = PrivateAttr()

    def model_post_init(self, context: Any, /) -> None:
        super().model_post_init(context)
        self._judge = Judge(self.server_client, self.config.judge)

    async def verify(self, body: JudgedAnswersVerifyRequest) -> JudgedAnswersVerifyResponse:
        judgement = Judgement(reward=0.0, judge_verdict="no answer")
        if answer := final_text(body.response):
            judgement = await self._judge.ask(question=body.question, expected=body.expected_answer, generated=answer)
        return JudgedAnswersVerifyResponse(**body.model_dump(), **judgement.model_dump())


if __name__ == "__main__":
    JudgedAnswersServer.run_webserver()
