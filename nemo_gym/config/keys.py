"""The names that configuration reserves, and the defaults behind them."""

from typing import Any

MODELS_KIND = "responses_api_models"
RESOURCES_KIND = "resources_servers"
AGENTS_KIND = "responses_api_agents"
KINDS = (MODELS_KIND, RESOURCES_KIND, AGENTS_KIND)

CONFIG_PATHS_KEY_NAME = "config_paths"
ENTRYPOINT_KEY_NAME = "entrypoint"
DEFAULT_HOST_KEY_NAME = "default_host"
HEAD_SERVER_KEY_NAME = "head_server"
DISALLOWED_PORTS_KEY_NAME = "disallowed_ports"
HEAD_SERVER_DEPS_KEY_NAME = "head_server_deps"
PYTHON_VERSION_KEY_NAME = "python_version"
RAY_HEAD_NODE_ADDRESS_KEY_NAME = "ray_head_node_address"
ERROR_ON_ALMOST_SERVERS_KEY_NAME = "error_on_almost_servers"
REQUIRE_SANDBOX_KEY_NAME = "require_sandbox"
DEFAULT_BIND_HOST_KEY_NAME = "default_bind_host"
AUTH_KEY_NAME = "auth"
ALLOW_UNAUTHENTICATED_NETWORK_KEY_NAME = "allow_unauthenticated_network"
POLICY_BASE_URL_KEY_NAME = "policy_base_url"
POLICY_API_KEY_KEY_NAME = "policy_api_key"
POLICY_MODEL_NAME_KEY_NAME = "policy_model_name"
HF_TOKEN_KEY_NAME = "hf_token"
MCP_KEY_NAME = "mcp"
TLS_KEY_NAME = "tls"

RESERVED_KEYS = (
    CONFIG_PATHS_KEY_NAME,
    ENTRYPOINT_KEY_NAME,
    DEFAULT_HOST_KEY_NAME,
    HEAD_SERVER_KEY_NAME,
    DISALLOWED_PORTS_KEY_NAME,
    HEAD_SERVER_DEPS_KEY_NAME,
    PYTHON_VERSION_KEY_NAME,
    RAY_HEAD_NODE_ADDRESS_KEY_NAME,
    ERROR_ON_ALMOST_SERVERS_KEY_NAME,
    REQUIRE_SANDBOX_KEY_NAME,
    DEFAULT_BIND_HOST_KEY_NAME,
    AUTH_KEY_NAME,
    ALLOW_UNAUTHENTICATED_NETWORK_KEY_NAME,
    MCP_KEY_NAME,
    TLS_KEY_NAME,
)
WELL_KNOWN_KEYS = (
    *RESERVED_KEYS,
    POLICY_BASE_URL_KEY_NAME,
    POLICY_API_KEY_KEY_NAME,
    POLICY_MODEL_NAME_KEY_NAME,
    HF_TOKEN_KEY_NAME,
)

DEFAULT_HOST = "127.0.0.1"
DEFAULT_HEAD_PORT = 11000
DEFAULT_MAX_REQUEST_BYTES = 256 * 2**20


def default_values() -> dict[str, Any]:
    """Return what every configuration starts from; any source overrides it."""
    return {
        DEFAULT_HOST_KEY_NAME: DEFAULT_HOST,
        HEAD_SERVER_KEY_NAME: {"host": f"${{{DEFAULT_HOST_KEY_NAME}}}", "port": DEFAULT_HEAD_PORT},
        DISALLOWED_PORTS_KEY_NAME: [],
        ERROR_ON_ALMOST_SERVERS_KEY_NAME: True,
    }
