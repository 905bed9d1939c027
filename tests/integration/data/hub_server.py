"""A Hugging Face hub on loopback: the documented routes of dataset repositories, kept in memory, and its faults.

Source: https://huggingface.co/docs/hub/api, and for large files the Git LFS batch API,
https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
"""

import asyncio
import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

TOKEN = "hf_token-of-the-test-hub-0123456789"
LARGE_BYTES = 1_000  # from here on files go through LFS


@dataclass
class HubState:
    """What the hub holds, and what goes wrong with it.

    Attributes:
        repos: Content by path, of each repository.
        objects: Large files by their SHA-256.
        fault: "500" answers so everywhere; "hang" never answers; "cut" hangs up at byte `cut_bytes` of a file;
            "garble" sends other bytes of the same length; "" is well.
        collections: Repositories by the collection's slug.
        requests: Method and path of every request.
        ranges: The `Range` of every download.
    """

    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    collections: dict[str, list[str]] = field(default_factory=dict)
    fault: str = ""
    cut_bytes: int = 0
    requests: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    url: str = ""


def hub_app(state: HubState) -> FastAPI:
    """Return the hub."""
    app = FastAPI()

    @app.middleware("http")
    async def misbehave(request: Request, call_next: Any) -> Response:
        state.requests.append(f"{request.method} {request.url.path}")
        if state.fault == "500":
            return Response(f"token was {request.headers.get('authorization')}", status_code=500)
        if state.fault == "hang":
            await asyncio.Event().wait()
        answer: Response = await call_next(request)
        return answer

    def missing(what: str) -> Response:
        return Response(status_code=404, headers={"X-Error-Code": what, "X-Error-Message": "not here"})

    def may_write(request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {TOKEN}"

    @app.post("/api/repos/create")
    async def create(request: Request) -> Response:
        if not may_write(request):
            return JSONResponse({"error": "Invalid username or password."}, 401)
        asked = await request.json()
        name = f"{asked['organization']}/{asked['name']}" if asked.get("organization") else asked["name"]
        is_there = name in state.repos
        state.repos.setdefault(name, {})
        return JSONResponse({"url": f"{state.url}/datasets/{name}"}, 409 if is_there else 200)

    @app.post("/api/datasets/{owner}/{name}/preupload/{revision}")
    async def preupload(request: Request) -> dict[str, Any]:
        files = (await request.json())["files"]
        answers = [{"path": f["path"], "uploadMode": mode_of(f["size"]), "shouldIgnore": False} for f in files]
        return {"files": answers}

    @app.post("/datasets/{owner}/{name}.git/info/lfs/objects/batch")
    async def batch(request: Request) -> Response:
        answers = []
        for wanted in (await request.json())["objects"]:
            action = {} if wanted["oid"] in state.objects else {"upload": {"href": f"{state.url}/lfs/{wanted['oid']}"}}
            answers.append({**wanted, "authenticated": True, "actions": action})
        return JSONResponse({"transfer": "basic", "objects": answers})

    @app.put("/lfs/{oid}")
    async def put_object(oid: str, request: Request) -> Response:
        state.objects[oid] = await request.body()
        return Response()

    @app.post("/api/datasets/{owner}/{name}/commit/{revision}")
    async def commit(owner: str, name: str, request: Request) -> dict[str, Any]:
        files = state.repos[f"{owner}/{name}"]
        for line in (await request.body()).splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                files[value["path"]] = state.objects[value["oid"]]
        url = f"{state.url}/datasets/{owner}/{name}/commit/{'0' * 40}"
        return {"success": True, "commitOid": "0" * 40, "commitUrl": url}

    @app.post("/api/datasets/{owner}/{name}/paths-info/{revision}")
    async def paths_info(owner: str, name: str, request: Request) -> Response:
        files = state.repos.get(f"{owner}/{name}")
        if files is None:
            return missing("RepoNotFound")
        paths = parse_qs((await request.body()).decode())["paths"]
        return JSONResponse([described(path, files[path]) for path in paths if path in files])

    @app.get("/api/datasets/{owner}/{name}/tree/{revision}")
    async def tree(owner: str, name: str) -> Response:
        files = state.repos.get(f"{owner}/{name}")
        if files is None:
            return missing("RepoNotFound")
        return JSONResponse([described(path, content) for path, content in files.items()])

    @app.post("/api/collections/{owner}/{slug}/items")
    async def collect(owner: str, slug: str, request: Request) -> dict[str, Any]:
        state.collections.setdefault(f"{owner}/{slug}", []).append((await request.json())["item"]["id"])
        others = dict.fromkeys(("position", "private", "theme", "upvotes"))
        described = {"slug": f"{owner}/{slug}", "title": slug, "owner": {}, "items": []}
        return {**described, **others, "lastUpdated": "2026-01-01T00:00:00.000Z"}

    @app.api_route("/datasets/{owner}/{name}/resolve/{revision}/{path:path}", methods=["GET", "HEAD"])
    async def resolve(owner: str, name: str, path: str, request: Request) -> Response:
        content = state.repos[f"{owner}/{name}"][path]
        headers = {
            "ETag": f'"{hashlib.sha256(content).hexdigest()}"',
            "X-Repo-Commit": "0" * 40,
            "Accept-Ranges": "bytes",
        }
        if request.method == "HEAD":
            return Response(headers={**headers, "Content-Length": str(len(content))})
        asked = request.headers.get("range")
        state.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        body = content[start:]
        headers["Content-Length"] = str(len(body))
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return StreamingResponse(sent(state, body, start), status_code=206 if start else 200, headers=headers)

    return app


def mode_of(size: int) -> str:
    """Return how a file of this size travels."""
    return "lfs" if size >= LARGE_BYTES else "regular"


async def sent(state: HubState, body: bytes, start: int) -> Any:
    """Yield the body, as far as the fault lets it."""
    if state.fault == "garble":
        body = bytes(len(body))
    if state.fault == "cut":
        yield body[: max(state.cut_bytes - start, 0)]
        await asyncio.sleep(0)
        raise ConnectionAbortedError("the hub hangs up")
    yield body


def described(path: str, content: bytes) -> dict[str, Any]:
    """Return a file as the tree lists it."""
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if len(content) >= LARGE_BYTES:
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry
