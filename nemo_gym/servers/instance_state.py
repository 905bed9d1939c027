"""The state of one server instance, as the head reports it."""

from pydantic import BaseModel


class ServerInstanceState(BaseModel):
    """One entry of `GET /server_instances`; one for each worker. `state`: starting, ready, restarting, failed."""

    name: str
    kind: str
    implementation: str
    host: str
    port: int
    url: str
    pid: int | None
    worker: int | None = None
    state: str
    log: str | None = None
