"""Ray, only where a run asks for it: it costs seconds and hundreds of megabytes."""

import asyncio
import importlib
import importlib.util
import os
from typing import Any

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import RAY_HEAD_NODE_ADDRESS_KEY_NAME
from nemo_gym.config.load import RunConfig
from nemo_gym.global_config import get_global_config_dict


def initialize_ray() -> None:
    """Join the cluster of `ray_head_node_address`, or start one on this machine; nothing when already joined.

    Raises:
        ConfigError: Ray isn't installed.
    """
    if importlib.util.find_spec("ray") is None:
        fix = "pip install 'ray>=2.40'"
        raise ConfigError(Mistake("this run needs Ray, which isn't installed", where="ray_enabled", fix=fix))
    import ray  # type: ignore[import-not-found, unused-ignore]

    if ray.is_initialized():
        return
    address = get_global_config_dict().get(RAY_HEAD_NODE_ADDRESS_KEY_NAME) or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"address": address} if address else {}
    ray.init(ignore_reinit_error=True, log_to_driver=False, include_dashboard=False, **options)


def wants_ray(config: RunConfig) -> bool:
    """Tell whether a server says `ray_enabled`, or the run names a cluster."""
    named = config.global_config_dict.get(RAY_HEAD_NODE_ADDRESS_KEY_NAME)
    return bool(named) or any(instance.ray_enabled for instance in config.instances)


async def join_ray(config: RunConfig) -> dict[str, str]:
    """Join or start the cluster; return the environment variables that lead servers to the same one.

    Raises:
        ConfigError: Ray isn't installed.
    """
    return await asyncio.to_thread(_join) if wants_ray(config) else {}


def _join() -> dict[str, str]:
    initialize_ray()
    ray = importlib.import_module("ray")
    return {"RAY_ADDRESS": str(ray.get_runtime_context().gcs_address)}
