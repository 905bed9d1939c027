"""The public face for programs."""

import subprocess
import sys
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from nemo_gym import global_config
from nemo_gym.config.env_names import NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME
from nemo_gym.global_config import (
    NO_MODEL_GLOBAL_CONFIG_DICT,
    ConfigError,
    GlobalConfigDictParser,
    GlobalConfigDictParserConfig,
    find_open_port,
    get_first_server_config_dict,
    get_global_config_dict,
)

SERVERS = """
judge:
  responses_api_models:
    any_model: {entrypoint: app.py, api_key: "${key}"}
key: sk-1
"""


@pytest.fixture(autouse=True)
def no_cached_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(global_config, "_cached", None)
    monkeypatch.delenv(NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME, raising=False)


def test_parse_no_environment_fills_in_the_defaults() -> None:
    config = GlobalConfigDictParser().parse_no_environment(initial_global_config_dict=OmegaConf.create(SERVERS))
    assert (config.head_server.host, config.head_server.port, config.default_host) == ("127.0.0.1", 11000, "127.0.0.1")
    assert config.judge.responses_api_models.any_model.api_key == "sk-1"


def test_parse_no_environment_checks_references() -> None:
    broken = OmegaConf.create(SERVERS)
    broken.judge.responses_api_models.any_model.other = {"type": "resources_servers", "name": "x"}
    with pytest.raises(ConfigError, match="no server named 'x'"):
        GlobalConfigDictParser().parse_no_environment(initial_global_config_dict=broken)


def test_parse_reads_command_line_and_dotenv(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "weather.yaml", "model.yaml", "default_host=0.0.0.0"])
    config = GlobalConfigDictParser().parse(GlobalConfigDictParserConfig(dotenv_path=workspace / "env.yaml"))
    assert (config.default_host, config.policy_api_key, "weather" in config) == ("0.0.0.0", "sk-canary", True)


def test_configuration_is_read_once_per_process(workspace: Path) -> None:
    wanted = GlobalConfigDictParserConfig(skip_load_from_cli=True, initial_global_config_dict=DictConfig({"x": 1}))
    first = get_global_config_dict(global_config_dict_parser_config=wanted)
    assert first.x == 1
    assert get_global_config_dict() is first


def test_environment_variable_is_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME, SERVERS)
    config = get_global_config_dict()
    assert config.judge.responses_api_models.any_model.api_key == "sk-1"
    assert config.head_server.port == 11000


def test_first_server_config_dict_is_the_innermost_block() -> None:
    config = OmegaConf.create(SERVERS)
    assert get_first_server_config_dict(config, "judge").entrypoint == "app.py"


def test_first_server_config_dict_takes_any_three_levels() -> None:
    config = OmegaConf.create({"trainer": {"policy": {"settings": {"lr": 0.1}}}})
    assert get_first_server_config_dict(config, "trainer").lr == 0.1


def test_shipped_model_resolves_with_the_placeholders_for_no_model() -> None:
    shipped = {"config_paths": ["responses_api_models/openai_model/configs/openai_model.yaml"]}
    initial = OmegaConf.merge(NO_MODEL_GLOBAL_CONFIG_DICT, shipped)
    config = GlobalConfigDictParser().parse_no_environment(initial_global_config_dict=initial)
    assert get_first_server_config_dict(config, "policy_model").openai_model == "no-model"


@pytest.mark.parametrize(("name", "hint"), [("jugde", "did you mean 'judge'?"), ("key", "known: judge")])
def test_first_server_config_dict_of_no_server_says_which_there_are(name: str, hint: str) -> None:
    with pytest.raises(KeyError) as caught:
        get_first_server_config_dict(OmegaConf.create(SERVERS), name)
    assert f"no server named '{name}'" in str(caught.value)
    assert hint in str(caught.value)


def test_open_port_avoids_the_disallowed_ones() -> None:
    port = find_open_port()
    assert 1024 <= port <= 65535
    assert find_open_port(disallowed_ports=[port]) != port


def test_open_port_where_all_are_disallowed_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="all 3 ports that the system offered are in disallowed_ports"):
        find_open_port(disallowed_ports=range(65536), max_retries=2)


def test_config_types_and_errors_import_nothing_heavy() -> None:
    code = "import sys, nemo_gym.config_types, nemo_gym.config.errors; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"omegaconf", "yaml", "hydra", "fastapi", "aiohttp"} & set(modules)


def test_loading_imports_no_hydra_without_arguments() -> None:
    code = "import sys, nemo_gym.global_config as g; g.get_global_config_dict(); print('hydra' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
