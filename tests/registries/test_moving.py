"""A dataset that goes from a registry to the hub: deleted on yes, and only when the hub has it."""

import json
from collections.abc import Iterator

import pytest

from nemo_gym.servers.serving.testing import serve_in_thread
from tests.integration.data.hub_server import TOKEN as HUB_TOKEN
from tests.integration.data.hub_server import HubState, hub_app
from tests.registries.conftest import Project

pytest.importorskip("mlflow", reason="make test-registries installs the MLflow client and server")

pytestmark = [pytest.mark.registries, pytest.mark.timeout(900)]
ROW = json.dumps({"responses_create_params": {"input": "How is the weather?"}}) + "\n"
FILE = ("+dataset_name=moved", "+input_jsonl_fpath=train.jsonl")
MOVE = ("ng_gitlab_to_hf_dataset", *FILE, "+hf_organization=acme")
DOWNLOAD = ("ng_download_dataset_from_gitlab", "+dataset_name=moved", "+version=0.0.1", "+artifact_fpath=train.jsonl")


@pytest.fixture
def hub(project: Project) -> Iterator[HubState]:
    """A hub beside the registry, and a dataset in the registry."""
    state = HubState()
    with serve_in_thread(hub_app(state)) as port:
        state.url = f"http://127.0.0.1:{port}"
        project.environment |= {"HF_ENDPOINT": state.url, "HF_HUB_DISABLE_XET": "1"}
        with (project.folder / "env.yaml").open("a") as file:
            file.write(f"hf_token: {HUB_TOKEN}\n")
        (project.folder / "train.jsonl").write_text(ROW)
        assert project.run("ng_upload_dataset_to_gitlab", *FILE, "+version=0.0.1").status == 0
        yield state


def test_a_moved_dataset_is_on_the_hub_and_deleted_from_the_registry_on_yes(project: Project, hub: HubState) -> None:
    kept = project.run(*MOVE, answer="n\n")
    assert (kept.status, "nothing was deleted" in kept.out) == (0, True), kept.err
    assert hub.repos == {"acme/NeMo-Gym-moved": {"data/train.jsonl": ROW.encode()}}
    assert project.run(*DOWNLOAD, "+output_fpath=got.jsonl").status == 0
    moved = project.run(*MOVE, answer="y\n")
    assert (moved.status, "deleted moved" in moved.out) == (0, True), moved.err
    assert project.run(*DOWNLOAD, "+output_fpath=again.jsonl").status == 2


def test_nothing_is_deleted_when_the_hub_fails_or_the_upload_alone_was_wanted(project: Project, hub: HubState) -> None:
    hub.fault = "500"
    failed = project.run(*MOVE, answer="y\n")
    assert (failed.status, "delete" in failed.out) == (1, False)
    hub.fault = ""
    only = ("ng_upload_dataset_to_hf", *FILE, "+hf_organization=acme", "+delete_from_gitlab=false")
    uploaded = project.run(*only, answer="y\n")
    assert (uploaded.status, "delete" in uploaded.out) == (0, False), uploaded.err
    assert project.run(*DOWNLOAD, "+output_fpath=got.jsonl").status == 0
