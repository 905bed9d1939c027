"""Ray, only where a run asks for it: it costs seconds and hundreds of megabytes."""

import importlib.util
import os
from typing import Any

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.global_config import get_global_config_dict

RAY_ADDRESS_KEY = "ray_head_node_address"


def initialize_ray() -> None:
    """Join the cluster of `ray_head_node_address`, or start one on this machine; nothing when already joined.

    Raises:
        ConfigError: Ray is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        fix = "pip install 'nemo-gym[ray]'"
        raise ConfigError(Mistake("this run needs Ray, which is not installed", where="ray_enabled", fix=fix))
    import ray  # type: ignore[import-not-found, unused-ignore]

    if ray.is_initialized():
        return
    address = get_global_config_dict().get(RAY_ADDRESS_KEY) or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"address": address} if address else {}
    ray.init(ignore_reinit_error=True, log_to_driver=False, include_dashboard=False, **options)
