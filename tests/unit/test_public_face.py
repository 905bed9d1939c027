"""Every public import path of the contract is there."""

import importlib
import inspect
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import nemo_gym
from nemo_gym.config_types import Domain
from nemo_gym.global_config import find_open_port

NAMES = {
    "nemo_gym": "PARENT_DIR ROOT_DIR CACHE_DIR RESULTS_DIR __version__",
    "nemo_gym.base_resources_server": "BaseResourcesServerConfig BaseResourcesServer SimpleResourcesServer "
    "BaseRunRequest BaseVerifyRequest BaseVerifyResponse "
    "BaseSeedSessionRequest BaseSeedSessionResponse NeMoGymResponse",
    "nemo_gym.base_responses_api_agent": "BaseResponsesAPIAgentConfig SimpleResponsesAPIAgent Body",
    "nemo_gym.base_responses_api_model": "BaseResponsesAPIModelConfig SimpleResponsesAPIModel Body",
    "nemo_gym.config_types": "ModelServerRef ResourcesServerRef AgentServerRef BaseServerConfig "
    "BaseRunServerInstanceConfig DatasetConfig Domain",
    "nemo_gym.server_utils": "ServerClient raise_for_status get_response_json request get_global_aiohttp_client "
    "SESSION_ID_KEY HEAD_SERVER_KEY_NAME is_nemo_gym_fastapi_worker BaseServerConfig BaseServer SimpleServer "
    "HeadServer initialize_ray get_first_server_config_dict get_global_config_dict DEFAULT_HEAD_SERVER_PORT "
    "setup_liveness setup_exception_middleware",
    "nemo_gym.rollout_collection": "RolloutCollectionConfig RolloutCollectionHelper",
    "nemo_gym.cli": "RunHelper GlobalConfigDictParserConfig",
    "nemo_gym.global_config": "GlobalConfigDictParserConfig get_global_config_dict GlobalConfigDictParser "
    "DISALLOWED_PORTS_KEY_NAME HF_TOKEN_KEY_NAME find_open_port get_first_server_config_dict "
    "NO_MODEL_GLOBAL_CONFIG_DICT",
    "nemo_gym.judge": "Judge JudgeConfig JudgeUsage Judgement Parser Verdict final_text json_parser label_parser "
    "score_parser",
    "nemo_gym.openai_utils": "NeMoGymResponse NeMoGymResponseCreateParamsNonStreaming NeMoGymAsyncOpenAI",
}


@pytest.mark.parametrize(("module", "names"), NAMES.items(), ids=list(NAMES))
def test_every_fixed_name_can_be_imported_from_its_fixed_path(module: str, names: str) -> None:
    missing = [name for name in names.split() if not hasattr(importlib.import_module(module), name)]
    assert missing == []


def test_a_program_with_arguments_of_its_own_can_ask_for_the_head() -> None:
    code = "from nemo_gym.global_config import configured_head; print(configured_head())"
    arguments = ["--learning-rate", "0.1", "+head_server.port=12345", "train"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "('127.0.0.1', 12345)"


def test_version_is_that_of_the_installed_package() -> None:
    assert nemo_gym.__version__ == version("nemo-gym")


def test_domains_are_those_of_the_contract() -> None:
    named = "math coding agent knowledge instruction_following long_context safety games translation rlhf e2e other"
    assert {domain.value for domain in Domain} == set(named.split())


def test_find_open_port_has_the_fixed_parameters() -> None:
    parameters = inspect.signature(find_open_port).parameters.values()
    assert [(p.name, p.default) for p in parameters] == [("disallowed_ports", None), ("max_retries", 50)]


def test_importing_the_package_reads_no_environment_and_makes_no_folder(tmp_path: Path) -> None:
    package = tmp_path / "lib" / "nemo_gym"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(Path(nemo_gym.__file__).read_text())
    code = "import nemo_gym, os; os.environ['NEMO_GYM_HOME'] = '/home-of-mine'; print(nemo_gym.CACHE_DIR)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path / "lib", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "/home-of-mine/cache"
    assert sorted(path.name for path in (tmp_path / "lib").iterdir()) == ["nemo_gym"]
