"""The run's place in a Ray cluster: joined or started by the launcher, before any server, where a run asks for it."""

import asyncio
import importlib

from nemo_gym.config.keys import RAY_HEAD_NODE_ADDRESS_KEY_NAME
from nemo_gym.config.load import RunConfig


def wants_ray(config: RunConfig) -> bool:
    """Tell whether a server says `ray_enabled`, or the run names a cluster."""
    named = config.global_config_dict.get(RAY_HEAD_NODE_ADDRESS_KEY_NAME)
    return bool(named) or any(instance.ray_enabled for instance in config.instances)


async def join_ray(config: RunConfig) -> dict[str, str]:
    """Join or start the cluster; return the environment variables that lead servers to the same one.

    Raises:
        ConfigError: Ray is not installed.
    """
    return await asyncio.to_thread(_join) if wants_ray(config) else {}


def _join() -> dict[str, str]:
    # Imported only here: a run without Ray does not wait for it.
    from nemo_gym.servers.ray_cluster import initialize_ray

    initialize_ray()
    ray = importlib.import_module("ray")
    return {"RAY_ADDRESS": str(ray.get_runtime_context().gcs_address)}
