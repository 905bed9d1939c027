"""A head that says what a test wants, in a thread: clients ask it before their event loop goes on."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from nemo_gym.config.schema import BaseServerConfig


@contextmanager
def head_in_thread(answer: Callable[[str], tuple[int, bytes]]) -> Iterator[BaseServerConfig]:
    """Yield where a head listens that answers GET of each path with a status and a body."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield BaseServerConfig(host="127.0.0.1", port=server.server_address[1])
        server.shutdown()
