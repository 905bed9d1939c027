"""The routes of the viewer: data as JSON, one stream of events, the page's own files."""

import asyncio
import contextlib
import mimetypes
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, SerializeAsAny, TypeAdapter
from starlette.staticfiles import StaticFiles

from nemo_gym.collections.line_file import DamagedFileError, OutputError
from nemo_gym.viewer.library import Library, UnknownCollectionError
from nemo_gym.viewer.pages.notes import Note
from nemo_gym.viewer.pages.query import QueryError
from nemo_gym.viewer.rollout.tokenizer import Tokenizer
from nemo_gym.viewer.serving.answers import Answers, Filter, NotFoundError
from nemo_gym.viewer.serving.events import events_of

STATIC = Path(__file__).parent.parent / "static"
_POLL_S = 0.5

Offset = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=1, le=500)]


def _filter(q: str = "", sort: str = "", desc: bool = False) -> Filter:
    return Filter(q, sort, desc)


Which = Annotated[Filter, Depends(_filter)]


def viewer_app(library: Library, stopping: asyncio.Event, tokenizer: Tokenizer | None = None) -> FastAPI:
    """Return the app that shows the collections of a library.

    Args:
        stopping: Ends its streams of events.
        tokenizer: For the texts of tokens.
    """
    app = FastAPI(title="ng_viewer", docs_url=None, redoc_url=None, openapi_url=None, lifespan=_reading(library))
    answers = Answers(library, tokenizer)
    _add_pages(app, answers)
    _add_rollout(app, answers)
    _add_notes(app, answers)
    _add_errors(app)

    @app.get("/api/events")
    async def events(c: str) -> StreamingResponse:
        await asyncio.to_thread(library.follower, c)
        return StreamingResponse(events_of(library, c, stopping), media_type="text/event-stream")

    mimetypes.add_type("text/javascript", ".js")
    app.get("/")(lambda: FileResponse(STATIC / "index.html"))
    app.mount("/static", StaticFiles(directory=STATIC))
    return app


def _json(content: BaseModel | Sequence[BaseModel]) -> Response:
    # Not FastAPI's own way, which takes a page apart and validates it again.
    text = content.model_dump_json() if isinstance(content, BaseModel) else _LISTS.dump_json(list(content))
    return Response(text, media_type="application/json")


_LISTS: TypeAdapter[list[SerializeAsAny[BaseModel]]] = TypeAdapter(list[SerializeAsAny[BaseModel]])


def _reading(library: Library) -> Callable[[FastAPI], Any]:
    async def read() -> None:
        while True:
            more = await asyncio.to_thread(library.refresh_watched)
            await asyncio.sleep(0.005 if more else _POLL_S)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        reading = asyncio.create_task(read())
        yield
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading

    return lifespan


def _add_pages(app: FastAPI, answers: Answers) -> None:
    @app.get("/api/collections")
    def collections() -> Response:
        return _json(answers.library.shelf())

    @app.get("/api/overview")
    def overview(c: str) -> Response:
        return _json(answers.overview(c))

    @app.get("/api/rollouts")
    def rollouts(
        c: str, q: str = "", sort: str = "", desc: bool = False, offset: Offset = 0, limit: Limit = 50
    ) -> Response:
        return _json(answers.rollouts(c, Filter(q, sort, desc), offset, limit))

    @app.get("/api/tasks")
    def tasks(
        c: str, q: str = "", sort: str = "", desc: bool = False, offset: Offset = 0, limit: Limit = 50
    ) -> Response:
        return _json(answers.tasks(c, Filter(q, sort, desc), offset, limit))

    @app.get("/api/task")
    def task(c: str, t: int) -> Response:
        return _json(answers.task(c, t))

    @app.get("/api/compare")
    def compare(a: str, b: str) -> Response:
        return _json(answers.comparison(a, b))


def _add_rollout(app: FastAPI, answers: Answers) -> None:
    @app.get("/api/rollout")
    def rollout(c: str, r: str) -> Response:
        return _json(answers.rollout(c, r))

    @app.get("/api/items")
    def items(c: str, r: str, offset: Offset = 0) -> Response:
        return _json(answers.items(c, r, offset))

    @app.get("/api/text")
    def text(c: str, r: str, item: Offset, part: Offset) -> Response:
        return PlainTextResponse(answers.text(c, r, item, part))

    @app.get("/api/tokens")
    def tokens(c: str, r: str, call: int | None = None, offset: Offset = 0) -> Response:
        return _json(answers.tokens(c, r, call, offset))

    @app.get("/api/raw")
    def raw(c: str, r: str) -> Response:
        return PlainTextResponse(answers.raw(c, r))

    @app.get("/api/copies")
    def copies(c: str, r: str) -> Response:
        return _json(answers.copies(c, r))

    @app.get("/api/neighbors")
    def neighbors(c: str, r: str, which: Which) -> Response:
        return _json(answers.neighbors(c, r, which))


def _add_notes(app: FastAPI, answers: Answers) -> None:
    @app.get("/api/notes")
    def notes(c: str) -> Response:
        return _json(answers.notes(c))

    @app.post("/api/notes")
    def add_note(c: str, note: Note) -> Response:
        return _json(answers.add_note(c, note))

    @app.get("/api/notes.jsonl")
    def notes_file(c: str) -> Response:
        lines = (orjson.dumps(note.model_dump()) + b"\n" for note in answers.notes(c).notes.values())
        headers = {"content-disposition": 'attachment; filename="notes.jsonl"'}
        return Response(b"".join(lines), media_type="application/jsonl", headers=headers)


def _add_errors(app: FastAPI) -> None:
    def refuse(status: int) -> Callable[[Request, Exception], Response]:
        def answer(request: Request, error: Exception) -> Response:
            what = error.args[0] if isinstance(error, KeyError) else str(error)
            return Response(orjson.dumps({"error": str(what)}), status, media_type="application/json")

        return answer

    app.add_exception_handler(UnknownCollectionError, refuse(404))
    app.add_exception_handler(NotFoundError, refuse(404))
    app.add_exception_handler(QueryError, refuse(400))
    app.add_exception_handler(OutputError, refuse(409))
    app.add_exception_handler(DamagedFileError, refuse(409))
    app.add_exception_handler(OSError, refuse(409))
