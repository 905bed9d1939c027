"""Addresses and tokens of registries, and connecting with them."""

import os
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.data.registries.errors import require_extra

if TYPE_CHECKING:
    from nemo_gym.data.registries.hub import Hub
    from nemo_gym.data.registries.mlflow_registry import MlflowRegistry


class GitlabAccess(BaseModel):
    """How a model registry is reached."""

    mlflow_tracking_uri: str | None = Field(
        default=None, description="MLflow API: https://<gitlab>/api/v4/projects/<id>/ml/mlflow, or an MLflow server."
    )
    mlflow_tracking_token: str | None = Field(default=None, repr=False, description="Its token; put it in env.yaml.")


class HubAccess(BaseModel):
    """How the Hugging Face hub is reached; HF_ENDPOINT in the environment names another one."""

    hf_token: str | None = Field(
        default=None, repr=False, description="Token of the Hugging Face hub; put it in env.yaml."
    )


def connect_gitlab(access: GitlabAccess) -> "MlflowRegistry":
    """Return a client; raises ConfigError where the address or the package is missing."""
    if not access.mlflow_tracking_uri:
        fix = "set it in env.yaml, with mlflow_tracking_token where the registry wants one"
        raise ConfigError(Mistake("mlflow_tracking_uri is missing", where="env.yaml", fix=fix))
    require_extra("mlflow", "gitlab")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when it is imported
    from nemo_gym.data.registries.mlflow_registry import MlflowRegistry  # an extra

    return MlflowRegistry(access.mlflow_tracking_uri, access.mlflow_tracking_token)


def connect_hub(access: HubAccess) -> "Hub":
    """Return a client; raises ConfigError where the package is missing."""
    require_extra("huggingface_hub", "hub")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when it is imported
    from nemo_gym.data.registries.hub import Hub  # an extra

    return Hub(access.hf_token)
