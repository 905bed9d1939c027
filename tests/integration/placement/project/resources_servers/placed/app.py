"""Placed: an environment that tells where it runs and what became of its calls. For tests only.

Tools: note something, hang, block, raise, refuse, say the pid. State per session: the notes.
Reward: the number of notes; a task's `verdict` makes the verifier break or ask the judge instead.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from routes import add_plain_routes
from tables import NAME

from nemo_gym.base_resources_server import (
    BaseResourcesServerConfig,
    BaseVerifyRequest,
    BaseVerifyResponse,
    SimpleResourcesServer,
    ToolError,
)
from nemo_gym.config_types import ModelServerRef
from nemo_gym.server_utils import SESSION_ID_KEY, raise_for_status

FOREVER_S = 3600.0


class PlacedConfig(BaseResourcesServerConfig):
    judge: ModelServerRef
    record_path: Path


class NoteRequest(BaseModel):
    entry: Entry  # a later class: it is looked up when the route is made
    size: int = 0


class Entry(BaseModel):
    text: str


class SecondsRequest(BaseModel):
    seconds: float = FOREVER_S
    label: str = ""


class Nothing(BaseModel):
    pass


class PlacedVerifyRequest(BaseVerifyRequest):
    verdict: Literal["count", "raise", "hang", "judge"] = "count"
    ask: str = ""


class PlacedVerifyResponse(PlacedVerifyRequest, BaseVerifyResponse):
    notes: list[str]
    pid: int


class PlacedServer(SimpleResourcesServer):
    config: PlacedConfig
    session_state = list

    def setup_webserver(self) -> FastAPI:
        app = super().setup_webserver()
        for tool in (self.note, self.hang, self.block, self.blow_up, self.refuse, self.where):
            app.post(f"/{tool.__name__}")(tool)
        add_plain_routes(app)
        return app

    async def note(self, request: Request, body: NoteRequest, response: Response) -> dict[str, Any]:
        """Write a note down."""
        notes = self.state(request)
        notes.append(body.entry.text)
        await asyncio.sleep(0)
        response.headers["x-notes"] = str(len(notes))
        response.set_cookie("last_note", body.entry.text[:20])
        return {"notes": notes, "padding": "x" * body.size, "table": NAME}

    async def hang(self, request: Request, body: SecondsRequest) -> str:
        """Take long."""
        self.record("hanging", body.label, pid=os.getpid())
        began_at = time.monotonic()
        try:
            await asyncio.sleep(body.seconds)
        except asyncio.CancelledError:
            self.record("cancelled", body.label, after_s=time.monotonic() - began_at)
            raise
        return "done"

    def block(self, body: SecondsRequest) -> str:
        """Block the thread it runs in."""
        time.sleep(body.seconds)
        return "done"

    async def blow_up(self, body: Nothing) -> str:
        """Break."""
        raise RuntimeError("a secret hint at the reward")

    async def refuse(self, body: Nothing) -> str:
        """Refuse."""
        raise ToolError("not on a Sunday")

    async def where(self, request: Request, body: Nothing) -> dict[str, Any]:
        """Say where the session is."""
        return {"pid": os.getpid(), "session": request.session[SESSION_ID_KEY]}

    async def verify(self, request: Request, body: PlacedVerifyRequest) -> PlacedVerifyResponse:
        notes = self.state(request)
        match body.verdict:
            case "raise":
                raise RuntimeError("the verifier broke")
            case "hang":
                await asyncio.sleep(FOREVER_S)
            case "judge":
                await self.ask_judge(body.ask)
        return PlacedVerifyResponse(**body.model_dump(), reward=float(len(notes)), notes=notes, pid=os.getpid())

    async def ask_judge(self, question: str) -> None:
        answer = await self.server_client.post(self.config.judge.name, "/v1/responses", json={"input": question})
        await raise_for_status(answer)

    async def close_session(self, session_id: str, state: list[str]) -> None:
        await asyncio.sleep(0)
        self.record("closed", session_id, notes=state)

    def record(self, what: str, whom: str, **more: Any) -> None:
        with self.config.record_path.open("a") as file:
            file.write(json.dumps({"what": what, "whom": whom, **more}) + "\n")


if __name__ == "__main__":
    PlacedServer.run_webserver()
