"""Every public import path of the contract is there."""

import importlib
import subprocess
import sys

import pytest

NAMES = {
    "nemo_gym": "PARENT_DIR",
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
    "DISALLOWED_PORTS_KEY_NAME HF_TOKEN_KEY_NAME find_open_port get_first_server_config_dict",
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
