"""Print the resolved configuration as YAML, secrets masked."""

import yaml
from omegaconf import OmegaConf
from pydantic import BaseModel, Field

from nemo_gym.commands.entry import DONE, run_command
from nemo_gym.config.load import load_config
from nemo_gym.config.reading.command_line import CommandLine
from nemo_gym.config.secrets import mask_secrets


class DumpOptions(BaseModel):
    """Parameters of ng_dump_config."""

    config_paths: list[str] = Field(default=[], description="Configuration files, the later win; or name them bare.")


def main() -> None:
    """Entry point of ng_dump_config."""
    run_command("ng_dump_config", __doc__ or "", DumpOptions, dump)


def dump(command_line: CommandLine) -> int:
    """Check the configuration and print it."""
    config = load_config(command_line, own_keys=list(DumpOptions.model_fields))
    plain = mask_secrets(OmegaConf.to_container(config.global_config_dict, resolve=True))
    print(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), end="")
    return DONE
