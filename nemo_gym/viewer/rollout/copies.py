"""A rollout as something to paste: a task row, a curl command, a pytest case for its verifier."""

import re
import shlex
from typing import Any

import orjson
from pydantic import BaseModel

from nemo_gym.collections.records import MASK_KEYS, ROLLOUT_INDEX_KEY, TASK_INDEX_KEY
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.servers.http.head_lookup import fetch_instances
from nemo_gym.servers.runs.access import RunAccess
from nemo_gym.servers.runs.record import RunRecord, live_runs
from nemo_gym.viewer.collection.follower import Follower
from nemo_gym.viewer.collection.row import Row
from nemo_gym.viewer.rollout.page import content_of

_PLACE_KEYS = (TASK_INDEX_KEY, ROLLOUT_INDEX_KEY)
_NAME = re.compile(r"[\w-]{1,200}")


class Copies(BaseModel):
    """The texts. `pytest_case` is empty for a rollout without a trajectory."""

    task_row: str
    curl: str
    pytest_case: str


def copies_of(follower: Follower, row: Row) -> Copies:
    """Return the texts of a rollout; raises OSError and DamagedFileError."""
    content, _ = content_of(follower, row)
    task = follower.task_rows.find(row.place[0]) or _task_part(follower, content)
    task = {name: value for name, value in task.items() if name not in _PLACE_KEYS}
    task_row = orjson.dumps(task).decode()
    return Copies(
        task_row=task_row,
        curl=_curl(_agent(content) or _agent(task), task_row),
        pytest_case=_pytest_case(follower, row, content) if content.get("response") else "",
    )


def _task_part(follower: Follower, content: dict[str, Any]) -> dict[str, Any]:
    names = {"responses_create_params", "agent_ref"}
    return {name: value for name, value in content.items() if name in names or name in follower.table.sent}


def _agent(row: dict[str, Any]) -> str:
    reference = row.get("agent_ref")
    name = reference.get("name") if isinstance(reference, dict) else None
    # Whatever stands in a row ends up in a shell.
    return name if isinstance(name, str) and _NAME.fullmatch(name) else ""


def _curl(agent: str, task_row: str) -> str:
    address = _address_of(agent)
    if address is None:
        # The shell says what is missing, and the text needn't be edited.
        url = f"${{AGENT_URL:?set it to the address of {agent or 'the agent'}, as ng_status shows it}}"
        lines = [f'curl -s "{url}/run" \\', f"  -H {_TOKEN_HEADER_OF_ANY_RUN} \\"]
    else:
        url, run = address
        lines = [f"curl -s {shlex.quote(url)}/run \\"]
        if run.ca:
            lines.append(f"  --cacert {shlex.quote(run.ca)} \\")
        if run.token_path.exists():
            lines.append(f'  -H "Authorization: Bearer $(cat {shlex.quote(str(run.token_path))})" \\')
    lines += ["  -H 'Content-Type: application/json' \\", f"  --data-raw {shlex.quote(task_row)}"]
    return "\n".join(lines)


_TOKEN_HEADER_OF_ANY_RUN = '"Authorization: Bearer $(cat "$(ng_status +token_file=true)")"'


def _address_of(agent: str) -> tuple[str, RunRecord] | None:
    """Return the address of an agent in the run that was started here last, with that run."""
    for record, _ in reversed(live_runs()):
        if agent in record.servers:
            head = BaseServerConfig(host=record.head_host, port=record.head_port)
            instances = fetch_instances(head, RunAccess.to_run(record))
            return next(((one.url, record) for one in instances if one.name == agent), None)
    return None


def _pytest_case(follower: Follower, row: Row, content: dict[str, Any]) -> str:
    module = f"resources_servers.{_resources_server(follower, _agent(content))}.app"
    request = {name: value for name, value in _verify_request(follower, content).items() if name not in _PLACE_KEYS}
    reward = "..." if row.reward is None else repr(row.reward)
    return f"""import importlib
import json
from unittest.mock import MagicMock

from fastapi.testclient import TestClient

from nemo_gym.base_resources_server import SimpleResourcesServer
from nemo_gym.server_utils import ServerClient

MODULE = importlib.import_module({module!r})
VERIFY_REQUEST = json.loads(
    {orjson.dumps(request).decode()!r}
)


def test_verify_gives_task_{row.task}_repeat_{row.repeat}_its_reward() -> None:
    server_class = next(
        found for found in vars(MODULE).values()
        if isinstance(found, type) and issubclass(found, SimpleResourcesServer) and found.__module__ == MODULE.__name__
    )
    config = server_class.model_fields["config"].annotation(host="", port=0, entrypoint="", name="")
    server = server_class(config=config, server_client=MagicMock(spec=ServerClient))

    answer = TestClient(server.setup_webserver()).post("/verify", json=VERIFY_REQUEST)

    assert answer.json()["reward"] == {reward}
"""


def _verify_request(follower: Follower, content: dict[str, Any]) -> dict[str, Any]:
    kept = {"responses_create_params", "response"}
    sent = follower.table.sent
    request = {name: value for name, value in content.items() if name in kept or name in sent}
    # A verifier that leaves the task's fields out of its answer still wants them in.
    task = follower.task_rows.find(content.get(TASK_INDEX_KEY, -1)) or {}
    return {name: value for name, value in {**task, **request}.items() if name not in (*MASK_KEYS, "agent_ref")}


def _resources_server(follower: Follower, agent: str) -> str:
    """Return the folder of the resources server that verifies for an agent, as the manifest says; else a blank."""
    manifest = follower.manifest
    settings = manifest.settings if manifest else {}
    name = next(
        (
            value
            for key, value in settings.items()
            if key.startswith(f"{agent}.responses_api_agents.") and key.endswith(".resources_server.name")
        ),
        None,
    )
    prefix = f"{name}.resources_servers."
    found = (key.removeprefix(prefix).partition(".")[0] for key in settings if key.startswith(prefix))
    return next(found, "my_environment")
