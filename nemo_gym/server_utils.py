"""Public face: the client, the server classes, and what servers need to call each other."""

from nemo_gym.config.keys import DEFAULT_HEAD_PORT as DEFAULT_HEAD_SERVER_PORT
from nemo_gym.config.schema import BaseServerConfig
from nemo_gym.global_config import HEAD_SERVER_KEY_NAME, get_first_server_config_dict, get_global_config_dict
from nemo_gym.ray_connection import initialize_ray
from nemo_gym.servers.http.client import ServerClient, get_response_json, raise_for_status
from nemo_gym.servers.http.connections import get_global_aiohttp_client
from nemo_gym.servers.http.response import HttpResponse, failure_of
from nemo_gym.servers.http.session_ids import SESSION_ID_HEADER, SESSION_ID_KEY, SESSION_KEPT_HEADER, new_session_id
from nemo_gym.servers.http.transport import Deadline, request
from nemo_gym.servers.serving.errors import setup_exception_middleware, setup_liveness
from nemo_gym.servers.serving.head import HeadServer
from nemo_gym.servers.serving.server import BaseServer, SimpleServer, is_nemo_gym_fastapi_worker
from nemo_gym.servers.sessions.environment import EnvironmentClient, EnvironmentSession
from nemo_gym.servers.sessions.tool_calls import ToolResult, run_tool_call
from nemo_gym.servers.sessions.tools import OfferedTools
from nemo_gym.wire.failure import Failure, FailureKind, OwnKind, RolloutError, Stage, own_kind, rollout_error
from nemo_gym.wire.http_errors import unfinished_response

__all__ = [
    "DEFAULT_HEAD_SERVER_PORT",
    "HEAD_SERVER_KEY_NAME",
    "SESSION_ID_HEADER",
    "SESSION_ID_KEY",
    "SESSION_KEPT_HEADER",
    "BaseServer",
    "BaseServerConfig",
    "Deadline",
    "EnvironmentClient",
    "EnvironmentSession",
    "Failure",
    "FailureKind",
    "HeadServer",
    "HttpResponse",
    "OfferedTools",
    "OwnKind",
    "RolloutError",
    "ServerClient",
    "SimpleServer",
    "Stage",
    "ToolResult",
    "failure_of",
    "get_first_server_config_dict",
    "get_global_aiohttp_client",
    "get_global_config_dict",
    "get_response_json",
    "initialize_ray",
    "is_nemo_gym_fastapi_worker",
    "new_session_id",
    "own_kind",
    "raise_for_status",
    "request",
    "rollout_error",
    "run_tool_call",
    "setup_exception_middleware",
    "setup_liveness",
    "unfinished_response",
]
