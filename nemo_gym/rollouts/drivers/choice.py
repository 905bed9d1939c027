"""Who runs the rollouts of a collection: its own process, or drivers."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

from omegaconf import OmegaConf

from nemo_gym.collections.writing.writer import Output
from nemo_gym.rollouts.drivers.messages import Settings
from nemo_gym.rollouts.drivers.pool import DriverPool
from nemo_gym.rollouts.drivers.process import StartDriver
from nemo_gym.rollouts.options import RolloutCollectionConfig
from nemo_gym.rollouts.runner import LocalRunner, RolloutRules, RolloutRunner
from nemo_gym.rollouts.token_data.masking import TokenDataMasking
from nemo_gym.servers.http.client import ServerClient


@asynccontextmanager
async def open_runner(
    client: ServerClient,
    output: Output,
    options: RolloutCollectionConfig,
    token_data: TokenDataMasking,
    sent_fields: Iterable[str],
    start_driver: StartDriver,
) -> AsyncIterator[RolloutRunner]:
    """Give what runs the rollouts of a collection.

    Args:
        client: Calls the servers; drivers call the same ones.
        output: The files of the collection.
        options: `num_drivers` chooses.
        token_data: Masks rollouts, or is told of those that drivers have masked.
        sent_fields: Names of the fields of the task rows, which aren't results.
        start_driver: Starts each of several.

    Raises:
        ConfigError: A driver doesn't start.
    """
    if options.num_drivers == 1:
        params, bounds = options.responses_create_params, (options.max_attempts, options.rollout_timeout_s)
        yield LocalRunner(client, output, RolloutRules(options.agent_name, params, *bounds), token_data)
        return
    settings = _settings(client, options, sent_fields)
    async with DriverPool(start_driver, settings, output, token_data.note, options.num_drivers) as pool:
        yield pool


def _settings(client: ServerClient, options: RolloutCollectionConfig, sent_fields: Iterable[str]) -> Settings:
    head = client.head_server_config
    return Settings(
        head_host=head.host,
        head_port=head.port,
        server_config=cast(dict[str, Any], OmegaConf.to_container(client.global_config_dict)),
        access=client.access,
        agent_name=options.agent_name,
        params=options.responses_create_params,
        max_attempts=options.max_attempts,
        rollout_timeout_s=options.rollout_timeout_s,
        check_token_ids=options.check_token_ids,
        sent_fields=list(sent_fields),
    )
