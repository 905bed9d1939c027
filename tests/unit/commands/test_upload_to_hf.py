"""What an uploaded dataset is called on the hub, and which options don't go together."""

from pathlib import Path
from typing import Any

import pytest

from nemo_gym.commands.data.gitlab_to_hf import GitlabToHfOptions, move
from nemo_gym.commands.data.upload_to_hf import UploadToHfOptions
from nemo_gym.config.errors import ConfigError

CONFIG = "rooms: {resources_servers: {room_booking: {entrypoint: app.py, domain: agent}}}\n"


def options(folder: Path, **given: Any) -> UploadToHfOptions:
    (folder / "rooms.yaml").write_text(CONFIG)
    if "resource_config_path" in given:
        given["resource_config_path"] = folder / given["resource_config_path"]
    return UploadToHfOptions.model_validate({"hf_organization": "acme", "input_jsonl_fpath": "a.jsonl", **given})


@pytest.mark.parametrize(
    ("given", "repo_id"),
    [
        ({"dataset_name": "rooms"}, "acme/NeMo-Gym-rooms"),
        ({"dataset_name": "rooms", "hf_dataset_prefix": ""}, "acme/rooms"),
        ({"dataset_name": "rooms", "resource_config_path": "rooms.yaml"}, "acme/NeMo-Gym-agent-rooms"),
        ({"resource_config_path": "rooms.yaml"}, "acme/NeMo-Gym-agent-room_booking"),
    ],
    ids=["name", "no-prefix", "with-domain", "folder"],
)
def test_a_repository_is_named_after_what_is_known(tmp_path: Path, given: dict[str, Any], repo_id: str) -> None:
    assert options(tmp_path, **given).repo_id == repo_id


def test_a_collection_is_named_by_its_slug_or_by_its_name_and_the_end_of_it(tmp_path: Path) -> None:
    whole = options(tmp_path, dataset_name="a", hf_collection_slug="acme/rl-data-64f9")
    parts = options(tmp_path, dataset_name="a", hf_collection_name="RL data", hf_collection_slug="64f9")
    assert whole.collection == parts.collection == "acme/rl-data-64f9"
    assert options(tmp_path, dataset_name="a").collection is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "dataset_name is missing"),
        ({"resource_config_path": "rooms.yaml", "delete_from_gitlab": True}, "dataset_name is missing"),
        ({"dataset_name": "a", "hf_collection_name": "RL data"}, "needs hf_collection_slug"),
    ],
    ids=["no-name", "nothing-to-delete", "no-slug"],
)
def test_options_that_say_too_little_are_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        options(tmp_path, **given)


def test_a_configuration_without_an_environment_has_no_domain(tmp_path: Path) -> None:
    (tmp_path / "model.yaml").write_text("policy_model: {responses_api_models: {openai_model: {entrypoint: app.py}}}\n")
    with pytest.raises(ConfigError, match="has no environment"):
        _ = options(tmp_path, resource_config_path="model.yaml").repo_id


def test_moving_takes_no_say_in_whether_to_delete() -> None:
    given = {"hf_organization": "acme", "dataset_name": "a", "input_jsonl_fpath": "a.jsonl"}
    with pytest.raises(ConfigError, match="always deletes"):
        move(GitlabToHfOptions.model_validate({**given, "delete_from_gitlab": True}))
