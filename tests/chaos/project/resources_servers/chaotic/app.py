"""Chaotic: an environment that breaks where its tasks ask it to. For tests only.

One tool, `/act`. State per session: how often it was called.
Reward: 1.0 when the tool was called once, else 0.0; the task's `verdict` names how the verifier breaks instead.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    SimpleResourcesServer,
)
from nemo_gym.server_utils import rollout_error

FOREVER_S = 3600.0


@dataclass
class Acts:
    count: int = 0


class ActRequest(BaseModel):
    do: Literal["work", "raise", "hang", "megabyte", "no_json"] = "work"


class ChaoticVerifyRequest(BaseVerifyRequest):
    verdict: Literal["good", "raise", "hang", "nan", "none", "text"] = "good"
    judge_down_while: str | None = None


class ChaoticVerifyResponse(ChaoticVerifyRequest):
    reward: float
    num_acts: int


class ChaoticServer(SimpleResourcesServer):
    config: BaseResourcesServerConfig
    session_state = Acts

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/act")(self.act)
        return app

    async def act(self, request: Request, body: ActRequest) -> Any:
        """Do what the policy asks for."""
        self.state(request).count += 1
        match body.do:
            case "raise":
                raise RuntimeError("the tool broke")
            case "hang":
                await asyncio.sleep(FOREVER_S)
            case "megabyte":
                return {"text": "x" * 1_000_000}
            case "no_json":
                return Response("<p>no JSON</p>", media_type="text/html")
        return {"done": True}

    async def verify(self, request: Request, body: ChaoticVerifyRequest) -> ChaoticVerifyResponse:
        acts = self.state(request).count
        if body.judge_down_while is not None and Path(body.judge_down_while).exists():
            raise rollout_error("judge_failed", "the judge answered 503", server="judge_model", status=503)
        if body.verdict == "raise":
            raise RuntimeError("the verifier broke")
        if body.verdict == "hang":
            await asyncio.sleep(FOREVER_S)
        broken = {"nan": float("nan"), "none": None, "text": "good"}
        given = {**body.model_dump(), "num_acts": acts, "reward": broken.get(body.verdict, float(acts == 1))}
        # Not validated: a verifier that gives no number is what some tasks ask for.
        return ChaoticVerifyResponse.model_construct(**given)


if __name__ == "__main__":
    ChaoticServer.run_webserver()
