"""GitLab's model registry on loopback: the MLflow routes that it documents, and its files of model versions.

Source: https://docs.gitlab.com/user/project/ml/experiment_tracking/mlflow_client/
A version is known by its text, its run is made with it, and files are those of a package.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

PROJECT = "/api/v4/projects/1"
MLFLOW = f"{PROJECT}/ml/mlflow"


@contextmanager
def gitlab_server(token: str) -> Iterator[str]:
    """Serve one project to callers with the token; gives its MLflow address."""
    versions: dict[tuple[str, str], str] = {}
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def handle_request(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            url = urlsplit(self.path)
            if self.headers.get("authorization") != f"Bearer {token}":
                self._send(401, {"message": "401 Unauthorized"})
            elif "/packages/ml_models/" in url.path:
                self._file(url.path, body)
            else:
                fields = json.loads(body) if body else {k: v[0] for k, v in parse_qs(url.query).items()}
                self._mlflow(f"{self.command} {url.path.removeprefix(f'{MLFLOW}/api/2.0/mlflow/')}", fields)

        def _file(self, path: str, body: bytes) -> None:
            if self.command == "PUT":
                files[path] = body
                self._send(201, {})
            elif path in files:
                self._send(200, files[path])
            else:
                self._send(404, {"message": "404 Not Found"})

        def _mlflow(self, call: str, fields: dict[str, Any]) -> None:
            name = fields.get("name", "")
            is_known = any(name == known for known, _ in versions)
            if call == "POST registered-models/create" or (call == "GET registered-models/get" and is_known):
                self._send(200, {"registered_model": {"name": name}})
            elif call == "POST model-versions/create":
                version = next(tag["value"] for tag in fields["tags"] if tag["key"] == "gitlab.version")
                versions[name, version] = f"run-{len(versions)}"
                self._version(name, version)
            elif call == "GET model-versions/get" and (name, fields["version"]) in versions:
                self._version(name, fields["version"])
            elif call == "GET runs/get":
                artifacts = f"http://{self.headers['host']}{PROJECT}/packages/ml_models/{fields['run_id']}/files/"
                info = {
                    "run_id": fields["run_id"],
                    "experiment_id": "1",
                    "artifact_uri": artifacts,
                    "status": "RUNNING",
                }
                self._send(200, {"run": {"info": info, "data": {}}})
            elif call == "DELETE registered-models/delete" and is_known:
                for key in [key for key in versions if key[0] == name]:
                    del versions[key]
                self._send(200, {})
            else:
                self._send(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "not here"})

        def _version(self, name: str, version: str) -> None:
            described = {"name": name, "version": version, "run_id": versions[name, version]}
            self._send(200, {"model_version": described})

        def _send(self, status: int, content: Any) -> None:
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_DELETE = handle_request

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}{MLFLOW}"
    finally:
        server.shutdown()
        server.server_close()
