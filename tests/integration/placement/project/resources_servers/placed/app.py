"""Placed: an environment that tells where it runs and what became of its calls. For tests only.

Tools: note something, hang, wait for its caller, block, raise, refuse, say the pid. State per session: the notes.
Reward: the number of notes; a task's `verdict` makes the verifier break or ask the judge instead.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
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
from nemo_gym.servers.serving.endpoint_policy import EndpointPolicy

FOREVER_S = 3600.0
WITHOUT_DEADLINE = ("/wait", "/block")


class PlacedConfig(BaseResourcesServerConfig):
    judge: ModelServerRef
    record_path: Path


class NoteRequest(BaseModel):
    entry: Entry  # a later class: it is looked up when the route is made
    size: int = 0


class Entry(BaseModel):
    text: str


class LabelRequest(BaseModel):
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
        for tool in (self.note, self.hang, self.wait, self.block, self.blow_up, self.refuse, self.where):
            app.post(f"/{tool.__name__}")(tool)
        app.get("/waiting")(self.is_waiting)
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

    def endpoint_policy(self, path: str) -> EndpointPolicy:
        policy = super().endpoint_policy(path)
        return replace(policy, timeout_s=FOREVER_S) if path in WITHOUT_DEADLINE else policy

    async def hang(self, body: LabelRequest) -> None:
        """Never end; the tool's deadline does."""
        await asyncio.sleep(FOREVER_S)

    async def wait(self, request: Request, body: LabelRequest) -> None:
        """Never end; a caller that leaves is the only end."""
        self.record("waiting", body.label, pid=os.getpid())
        try:
            await asyncio.sleep(FOREVER_S)
        except asyncio.CancelledError:
            self.record("cancelled", body.label)
            raise

    async def is_waiting(self, label: str) -> bool:
        """Tell whether a call with this label waits."""
        path = self.config.record_path
        return path.exists() and any(label in line for line in path.read_text().splitlines())

    def block(self, body: LabelRequest) -> str:
        """Block the thread it runs in until the file of this name exists beside the record."""
        self.record("blocking", body.label)
        while not self.config.record_path.with_name(body.label).exists():
            time.sleep(0.01)
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
