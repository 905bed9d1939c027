"""Leaky: an environment that puts its keys into every text it can. For tests only.

Tools: `/leak`, which fails in the way it is asked to. Reward: 1.0; the task's `verdict` names how the verifier breaks.
"""

import asyncio
import logging
from typing import Any, Literal

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
    ToolError,
)
from nemo_gym.server_utils import request, rollout_error

_log = logging.getLogger("leaky")


class LeakyConfig(BaseResourcesServerConfig):
    my_secret: str
    search_url: str
    headers: dict[str, str]
    dies: bool = False


class LeakRequest(BaseModel):
    how: Literal["raise", "refuse", "connect", "log", "print", "background"]


class LeakyVerifyRequest(BaseVerifyRequest):
    verdict: Literal["good", "raise", "reject", "judge", "hang"] = "good"


class LeakyServer(SimpleResourcesServer):
    config: LeakyConfig

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/leak")(self.leak)
        return app

    async def startup(self) -> None:
        _log.error("starting with %s", self.config)
        if self.config.dies:
            raise RuntimeError(f"cannot log in with {self.config.my_secret} at {self.config.search_url}")

    async def leak(self, body: LeakRequest) -> dict[str, Any]:
        """Fail with a key in the text."""
        secret = self.config.my_secret
        match body.how:
            case "raise":
                raise RuntimeError(f"refused: {secret} and {self.config.headers}")
            case "refuse":
                raise ToolError(f"no page at {self.config.search_url} for {secret}")
            case "connect":
                (await request("GET", self.config.search_url, headers=self.config.headers)).raise_for_status()
            case "print":
                print(secret, self.config.headers, flush=True)
            case "background":
                _ = asyncio.get_running_loop().call_soon(_explode, secret)
        _log.error("asked %s with %r", self.config.search_url, self.config.headers)
        return {"done": True}

    async def verify(self, body: LeakyVerifyRequest) -> BaseVerifyResponse:  # type: ignore[override]
        secret = self.config.my_secret
        match body.verdict:
            case "raise":
                raise KeyError(secret)
            case "reject":
                raise HTTPException(503, {"judge": {"key": secret}})
            case "judge":
                raise rollout_error("judge_failed", f"judge refused {secret}", upstream_body=f"x{secret}" * 500)
            case "hang":
                await asyncio.sleep(3600)
        return BaseVerifyResponse(**body.model_dump(), reward=1.0)


def _explode(secret: str) -> None:
    raise RuntimeError(secret)


if __name__ == "__main__":
    LeakyServer.run_webserver()
