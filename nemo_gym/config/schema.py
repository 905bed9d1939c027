"""The typed shape of configuration: server instances, references, datasets, run-wide settings.

Secrets are masked in `repr`, `str`, rich, and validation errors. The fields themselves stay plain text: a server passes
`config.openai_api_key` to its client, and `model_dump` is exact.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from nemo_gym.config.keys import DEFAULT_HEAD_PORT, DEFAULT_HOST, DEFAULT_MAX_REQUEST_BYTES
from nemo_gym.config.placement import Placement
from nemo_gym.config.secrets import MASK, is_secret_key, mask_secrets


class MaskedRepr(BaseModel):
    """A model whose representation shows "****" for what `is_secret_key` names, at any depth."""

    model_config = ConfigDict(hide_input_in_errors=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [(name, _shown(name, value)) for name, value in super().__repr_args__()]


def _shown(name: str | None, value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value if isinstance(value, MaskedRepr) else _Nested(value)
    if isinstance(value, list | tuple) and any(isinstance(item, BaseModel) for item in value):
        return [_shown(name, item) for item in value]
    if name is not None and is_secret_key(name) and isinstance(value, bytes):
        return MASK
    masked = mask_secrets({name or "": value})
    return masked[name or ""]


class _Nested:
    """A model that isn't a `MaskedRepr`, inside one that is, as it is printed."""

    def __init__(self, model: BaseModel) -> None:
        args = ((name, _shown(name, value)) for name, value in model.__repr_args__())
        self._text = f"{type(model).__name__}({', '.join(f'{name}={value!r}' for name, value in args)})"

    def __repr__(self) -> str:
        return self._text


Port = Annotated[int, Field(ge=1, le=65535)]


class Domain(StrEnum):
    """What the tasks of a resources server are about."""

    MATH = "math"
    CODING = "coding"
    AGENT = "agent"
    KNOWLEDGE = "knowledge"
    INSTRUCTION_FOLLOWING = "instruction_following"
    LONG_CONTEXT = "long_context"
    SAFETY = "safety"
    GAMES = "games"
    TRANSLATION = "translation"
    RLHF = "rlhf"
    E2E = "e2e"
    OTHER = "other"


class ModelServerRef(BaseModel):
    """Names the instance of a model server."""

    type: Literal["responses_api_models"] = "responses_api_models"
    name: str


class ResourcesServerRef(BaseModel):
    """Names the instance of a resources server."""

    type: Literal["resources_servers"] = "resources_servers"
    name: str


class AgentServerRef(BaseModel):
    """Names the instance of an agent."""

    type: Literal["responses_api_agents"] = "responses_api_agents"
    name: str


class BaseServerConfig(MaskedRepr):
    """Where a server listens. Printed or logged, the configuration of a server shows no secret."""

    host: str = Field(description="Address or name of the interface.")
    port: int = Field(description="0 lets the system choose.")


class BaseRunServerInstanceConfig(BaseServerConfig):
    """What every server that a run starts is configured with; a server's own settings are further fields."""

    entrypoint: str = Field(description="Script in the component's folder; running it serves.")
    name: str = Field(description="Name of the instance, unique in the run.")
    num_workers: int = Field(default=1, ge=1, description="Processes that share the work of this instance.")
    ray_enabled: bool = Field(default=False, description="Uses Ray: it is told which cluster the run has joined.")
    placement: Placement | None = Field(
        default=None, description="Runs on a node of the Ray cluster; absent: on the machine of the launcher."
    )
    worker_urls: list[str] = Field(
        default=[], description="Address of each worker, filled in by the launcher where there are several."
    )
    is_placed: bool = Field(
        default=False,
        description="Filled in by the launcher: it is on a node of a cluster, and its address may change.",
    )
    bind_host: str | None = Field(
        default=None, description="Address it listens on where that is not `host`, which is what others call."
    )
    max_request_bytes: int = Field(
        default=DEFAULT_MAX_REQUEST_BYTES, ge=1, description="A longer body is refused with status 413."
    )


class GitlabIdentifier(BaseModel):
    """A dataset in a GitLab model registry."""

    dataset_name: str
    version: str
    artifact_fpath: str


class HuggingfaceIdentifier(BaseModel):
    """A dataset on the Hugging Face hub; without `artifact_fpath` the whole repository."""

    repo_id: str
    artifact_fpath: str | None = None


class DatasetConfig(MaskedRepr):
    """A JSONL file of tasks.

    License and source may be absent, and the file needn't exist: a run doesn't read it. What prepares or shares a train
    or validation dataset checks `lacking` first.

    Attributes:
        name: Unique among the datasets of the instance.
        type: What it is for.
        jsonl_fpath: Path of the file; a relative one is looked for like a configuration file.
        num_repeats: Rollouts for each task, at least 1.
        weight: Share of the rows in a set that is mixed of several datasets, relative to the weights of the others;
            None where datasets aren't weighted.
        license: Name of the license, e.g. "Apache 2.0".
        gitlab_identifier: A source of the file.
        huggingface_identifier: A source of the file.
    """

    model_config = ConfigDict(extra="allow")

    name: str
    type: Literal["train", "validation", "example"]
    jsonl_fpath: str
    num_repeats: int = Field(default=1, ge=1)
    weight: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    license: str | None = None
    gitlab_identifier: GitlabIdentifier | None = None
    huggingface_identifier: HuggingfaceIdentifier | None = None

    @property
    def lacking(self) -> list[str]:
        """What a train or validation dataset needs before it is prepared and doesn't have; empty for an example."""
        if self.type == "example":
            return []
        has_source = self.gitlab_identifier or self.huggingface_identifier
        needs = {"license": self.license, "gitlab_identifier or huggingface_identifier": has_source}
        return [need for need, value in needs.items() if not value]


class InstanceSettings(MaskedRepr):
    """The part of an instance's innermost block that every server shares; the rest are settings of that server."""

    model_config = ConfigDict(extra="allow")

    entrypoint: str = Field(min_length=1)
    host: str | None = None
    bind_host: str | None = None
    port: Port | None = None
    max_request_bytes: int = Field(default=DEFAULT_MAX_REQUEST_BYTES, ge=1)
    num_workers: int = Field(default=1, ge=1)
    ray_enabled: bool = False
    placement: Placement | None = None
    datasets: list[DatasetConfig] = []
    domain: Domain | None = None


class ResourcesInstanceSettings(InstanceSettings):
    """An instance of a resources server also says what its tasks are about."""

    domain: Domain = Domain.OTHER


class HeadSettings(BaseModel):
    """Where the head is called, and the address it listens on where that is another."""

    host: str = Field(description="Address at which the head of the run is called.")
    port: Port = Field(description="Port of the head of the run.")
    bind_host: str | None = Field(default=None, description="Address the head listens on where that is another.")


class TlsSettings(BaseModel):
    """Files in PEM, at the same paths on every machine of the run."""

    model_config = ConfigDict(extra="forbid")

    ca: str = Field(description="File of the authority that callers check the servers' certificates against.")
    cert: str | None = Field(default=None, description="File of the certificate that every server of the run presents.")
    key: str | None = Field(default=None, description="File of the private key of that certificate.")


def _version_as_text(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) else value  # YAML reads 3.12 as a number


RequiredSandbox = Literal["strict", "best_effort"]


class RunSettings(BaseModel):
    """The reserved keys that have a type of their own."""

    head_server: HeadSettings = HeadSettings(host=DEFAULT_HOST, port=DEFAULT_HEAD_PORT)
    default_host: str = Field(default=DEFAULT_HOST, description="Address the servers are called at, and listen on.")
    default_bind_host: str | None = Field(
        default=None, description="Address the servers listen on where that is another."
    )
    disallowed_ports: list[int] = Field(default=[], description="Ports that are never taken.")
    auth: Literal["token", "none"] = Field(
        default="token", description="token: callers must present the run's token; none: for this machine alone."
    )
    allow_unauthenticated_network: bool = Field(
        default=False, description="With auth=none: servers may also listen where other machines reach them."
    )
    require_sandbox: RequiredSandbox | None = Field(
        default=None, description="Isolation of model-written code: what every server must use, whatever it asks for."
    )
    error_on_almost_servers: bool = Field(
        default=True, description="false: servers with mistakes are left out, with a message, instead of refused."
    )
    python_version: Annotated[str | None, BeforeValidator(_version_as_text)] = Field(
        default=None, description="Python of environments that are built for servers, e.g. '3.12'."
    )
    ray_head_node_address: str | None = Field(
        default=None, description="Ray cluster to join: host:port of its head, or auto for the one on this machine."
    )
    mcp: bool = Field(default=False, description="true: each environment also serves its tools at /mcp.")
    tls: TlsSettings | None = Field(
        default=None, description="Certificates of the servers of the run; absent: they speak plain HTTP."
    )

    @property
    def head_bind_host(self) -> str:
        """The address the head listens on."""
        return self.head_server.bind_host or self.default_bind_host or self.head_server.host
