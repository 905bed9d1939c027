"""Judge: a model server that fails as it is asked to, and calls the environment as it is asked to. For tests only."""

from typing import Any

from calls import CALLS
from fastapi import FastAPI, HTTPException
from tables import NAME

from nemo_gym.base_responses_api_model import BaseResponsesAPIModelConfig, Body, SimpleResponsesAPIModel
from nemo_gym.config_types import ResourcesServerRef
from nemo_gym.server_utils import HttpResponse, RolloutError


class JudgeConfig(BaseResponsesAPIModelConfig):
    called: ResourcesServerRef


class Judge(SimpleResponsesAPIModel):
    config: JudgeConfig

    async def startup(self) -> None:
        # Nobody may be called before it has started, wherever it runs: this waits for the environment.
        await self.server_client.get(self.config.called.name, "/health")

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        app.post("/calls/{name}")(self.call)
        return app

    async def call(self, name: str) -> dict[str, Any]:
        """Make one prepared call of the environment; return its answer as data."""
        try:
            answer = await CALLS[name](self.server_client, self.config.called.name)
        except RolloutError as error:
            return {"failure": error.failure.model_dump(exclude_none=True)}
        return answer if isinstance(answer, dict) else await _as_data(answer)

    async def responses(self, body: dict[str, Any] = Body()) -> dict[str, Any]:
        match body["input"]:
            case "too often":
                raise HTTPException(429, "the judge has had enough")
            case "break":
                raise RuntimeError("the judge broke")
        return {"verdict": "good", "table": NAME}

    async def chat_completions(self, body: dict[str, Any] = Body()) -> dict[str, Any]:
        raise HTTPException(404, "no chat here")


async def _as_data(answer: HttpResponse) -> dict[str, Any]:
    return {
        "status": answer.status,
        "headers": {name.lower(): value for name, value in answer.headers.items()},
        "cookies": {name: morsel.value for name, morsel in answer.cookies.items()},
        "text": await answer.text(),
    }


if __name__ == "__main__":
    Judge.run_webserver()
