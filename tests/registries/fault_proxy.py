"""A registry that misbehaves: passes requests on to a real one, and breaks some of the answers."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Faults:
    """What goes wrong.

    Attributes:
        cut_at: Downloads of data files end at this byte of the file, with the connection.
        status: Every answer has this status instead, and repeats the request's token.
        hang: Nothing is answered.
        garble: Data files come with other bytes.
        fail_uploads_of: PUTs whose path ends so are answered with 500.
        ranges: The `Range` of every download of a data file.
    """

    cut_at: int | None = None
    status: int | None = None
    hang: bool = False
    garble: bool = False
    fail_uploads_of: str | None = None
    ranges: list[str | None] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def fault_proxy(target: str, faults: Faults) -> Iterator[str]:
    """Serve on a free port; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def pass_on(self) -> None:
            if faults.hang:
                faults.over.wait(600)
                return
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            refused = self.command == "PUT" and faults.fail_uploads_of and self.path.endswith(faults.fail_uploads_of)
            if faults.status is not None or refused:
                self._answer(faults.status or 500, str(self.headers.get("authorization")).encode(), {})
                return
            upstream = http.client.HTTPConnection(urlsplit(target).netloc, timeout=60)
            names = {"host", "content-length", "connection", "transfer-encoding"}
            headers = {name: value for name, value in self.headers.items() if name.lower() not in names}
            upstream.request(self.command, self.path, body, headers)
            answer = upstream.getresponse()
            content = answer.read()
            kept = {n: v for n, v in answer.getheaders() if n.lower() in ("content-type", "content-range")}
            if self.command == "GET" and self.path.endswith(".jsonl"):
                content = self._spoilt(content)
            self._answer(answer.status, content, kept)

        def _spoilt(self, content: bytes) -> bytes:
            asked = self.headers.get("range")
            faults.ranges.append(asked)
            return bytes(len(content)) if faults.garble else content

        def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            start = int((self.headers.get("range") or "bytes=0-").removeprefix("bytes=").split("-")[0])
            is_cut = faults.cut_at is not None and self.path.endswith(".jsonl") and self.command == "GET"
            self.wfile.write(content[: max((faults.cut_at or 0) - start, 0)] if is_cut else content)
            self.close_connection = self.close_connection or is_cut

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = pass_on

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        faults.over.set()
        server.shutdown()
        server.server_close()
