"""A model endpoint that repeats the key it was sent: in its errors, and in what it answers to a search."""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class EchoHandler(BaseHTTPRequestHandler):
    """A row's metadata says what its policy does: `status` names an error, `how` a call of the tool `leak`."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(500, {"error": {"message": self._echo()}})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        wanted = request.get("metadata") or {}
        status = int(wanted.get("status", 200))
        if status != 200:
            self._answer(status, {"error": {"message": self._echo(), "code": None}})
        elif "odd" in wanted:
            self._answer(200, {"object": "list", "output": self._echo(), "id": 3, "key": [self._echo()]})
        else:
            self._answer(200, _response(request, wanted.get("how")))

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing to the console."""

    def _echo(self) -> str:
        return f"wrong key: {self.headers.get('authorization')} at {self.path} with {dict(self.headers)}"

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.send_header("retry-after", "3600")  # beyond every bound: nobody tries again
        self.end_headers()
        self.wfile.write(text)


def _response(request: dict[str, Any], how: str | None) -> dict[str, Any]:
    given = request["input"]
    called = any(item.get("type") == "function_call_output" for item in given if isinstance(item, dict))
    item: dict[str, Any] = {"id": "m", "type": "message", "role": "assistant", "status": "completed"}
    item["content"] = [{"type": "output_text", "text": "Done.", "annotations": []}]
    if how is not None and not called:
        item = {"id": "f", "type": "function_call", "call_id": "c", "name": "leak", "status": "completed"}
        item["arguments"] = json.dumps({"how": how})
    shape = {"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [item]}
    return {**shape, "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}


@contextlib.contextmanager
def echo_endpoint() -> Iterator[str]:
    """A running endpoint; gives its `host:port`."""
    with ThreadingHTTPServer(("127.0.0.1", 0), EchoHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
