"""Public face of the configuration's types; importing it costs pydantic and nothing else."""

from nemo_gym.config.schema import (
    AgentServerRef,
    BaseRunServerInstanceConfig,
    BaseServerConfig,
    DatasetConfig,
    Domain,
    GitlabIdentifier,
    HuggingfaceIdentifier,
    ModelServerRef,
    ResourcesServerRef,
)

__all__ = [
    "AgentServerRef",
    "BaseRunServerInstanceConfig",
    "BaseServerConfig",
    "DatasetConfig",
    "Domain",
    "GitlabIdentifier",
    "HuggingfaceIdentifier",
    "ModelServerRef",
    "ResourcesServerRef",
]
