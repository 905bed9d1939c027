"""Datasets on the Hugging Face hub: the official client against a hub on loopback."""

import json
from pathlib import Path

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.data.registries.errors import RegistryError
from nemo_gym.data.registries.http_file import Patience
from nemo_gym.data.registries.hub import Hub, HubFile
from tests.integration.conftest import Command
from tests.integration.data.conftest import SOURCE, configure, read_jsonl, task, write_jsonl
from tests.integration.data.hub_server import TOKEN, HubState

UPLOAD = ("ng_upload_dataset_to_hf", "+hf_organization=acme", "+dataset_name=weather", "+hf_dataset_prefix=''")
SMALL, LARGE = 3, 2_000


def content(num_rows: int) -> bytes:
    return b"".join(json.dumps(task(number)).encode() + b"\n" for number in range(num_rows))


@pytest.fixture
def download() -> tuple[str, ...]:
    return ("ng_download_dataset_from_hf", "+repo_id=acme/weather", "+split=train", "+output_fpath=got/train.jsonl")


@pytest.mark.parametrize("num_rows", [pytest.param(SMALL, id="small"), pytest.param(LARGE, id="large")])
def test_a_dataset_comes_back_as_it_was_uploaded(
    command: Command, hub: HubState, project: Path, download: tuple[str, ...], num_rows: int
) -> None:
    (project / "tasks.jsonl").write_bytes(content(num_rows))
    collection = ("+hf_collection_name=RL data", "+hf_collection_slug=64f9")
    up = command(*UPLOAD, "+input_jsonl_fpath=tasks.jsonl", *collection)
    assert up.status == 0, up.err
    assert hub.collections == {"acme/rl-data-64f9": ["acme/weather"]}
    assert hub.repos == {"acme/weather": {"data/train.jsonl": content(num_rows)}}
    down = command(*download)
    assert down.status == 0, down.err
    assert (project / "got/train.jsonl").read_bytes() == content(num_rows)
    assert [path.name for path in (project / "got").iterdir()] == ["train.jsonl"]
    assert TOKEN not in up.out + up.err + down.out + down.err


FILE = HubFile("acme/weather", "data/train.jsonl")


@pytest.fixture
def client(hub: HubState) -> Hub:
    """Downloads from the hub in this process, as the commands do, and gives up soon."""
    hub.repos["acme/weather"] = {FILE.file: content(LARGE)}
    return Hub(TOKEN, hub.url, Patience(attempts=2, pause_s=0.01))


def test_a_second_download_of_the_same_file_fetches_nothing(client: Hub, hub: HubState, tmp_path: Path) -> None:
    for _ in range(2):
        client.download(FILE, tmp_path / "train.jsonl")
    assert len(hub.ranges) == 1


def test_a_download_that_is_cut_off_goes_on_where_it_stopped(client: Hub, hub: HubState, tmp_path: Path) -> None:
    target = tmp_path / "got/train.jsonl"
    hub.fault, hub.cut_bytes = "cut", 100_000
    with pytest.raises(RegistryError, match="fetching http"):
        client.download(FILE, target)
    assert not target.exists()
    before = len(hub.ranges)
    hub.fault = ""
    client.download(FILE, target)
    assert target.read_bytes() == content(LARGE)
    assert hub.ranges[before:] == ["bytes=65536-"]  # the last whole block before the cut


def test_bytes_that_do_not_have_the_checksum_of_the_hub_are_removed(client: Hub, hub: HubState, tmp_path: Path) -> None:
    hub.fault = "garble"
    with pytest.raises(RegistryError, match="doesn't have the sha256"):
        client.download(FILE, tmp_path / "got/train.jsonl")
    assert list((tmp_path / "got").iterdir()) == []


def test_another_file_at_the_target_is_kept_unless_told(client: Hub, tmp_path: Path) -> None:
    target = tmp_path / "train.jsonl"
    target.write_text("mine")
    with pytest.raises(ConfigError, match=r"train\.jsonl exists and is another file"):
        client.download(FILE, target)
    assert target.read_text() == "mine"
    client.download(FILE, target, overwrite=True)
    assert target.read_bytes() == content(LARGE)


def test_a_hub_that_answers_with_errors_gets_nothing_and_is_said(
    command: Command, hub: HubState, project: Path
) -> None:
    (project / "tasks.jsonl").write_bytes(content(SMALL))
    hub.fault = "500"
    done = command(*UPLOAD, "+input_jsonl_fpath=tasks.jsonl")
    assert done.status == 1
    assert "registry error: uploading data/train.jsonl of acme/weather failed" in done.err
    assert "500" in done.err
    assert "Traceback" not in done.err
    assert TOKEN not in done.out + done.err  # which this hub sends back in its error


def test_a_hub_that_never_answers_is_given_up_and_leaves_nothing(
    command: Command, environment: dict[str, str], hub: HubState, project: Path, download: tuple[str, ...]
) -> None:
    hub.fault, environment["HF_HUB_ETAG_TIMEOUT"] = "hang", "1"
    done = command(*download)
    assert done.status == 1
    assert "the hub said nothing for 1 s" in done.err
    assert not (project / "got").exists()
    assert len(hub.requests) == 1  # not asked again, as that would take as long


def test_a_repository_or_a_file_that_is_not_there_is_a_mistake_with_what_is_known(
    command: Command, hub: HubState
) -> None:
    hub.repos["acme/weather"] = {"data/train.jsonl": content(SMALL)}
    where = ("+artifact_fpath=data/trian.jsonl", "+output_dirpath=got")
    file = command("ng_download_dataset_from_hf", "+repo_id=acme/weather", *where)
    repo = command("ng_download_dataset_from_hf", "+repo_id=acme/wether", *where)
    assert (file.status, repo.status) == (2, 2)
    assert "did you mean 'data/train.jsonl'?" in file.err
    assert "check repo_id" in repo.err


def test_every_split_comes_into_a_folder(command: Command, hub: HubState, project: Path) -> None:
    hub.repos["acme/weather"] = {"data/train.jsonl": content(2), "validation.jsonl": content(1), "README.md": b"#"}
    done = command("ng_download_dataset_from_hf", "+repo_id=acme/weather", "+output_dirpath=got")
    assert done.status == 0, done.err
    assert sorted(path.name for path in (project / "got").iterdir()) == ["train.jsonl", "validation.jsonl"]


def test_rows_that_are_no_tasks_are_not_uploaded_as_train(command: Command, hub: HubState, project: Path) -> None:
    write_jsonl(project / "tasks.jsonl", [task(0), {"question": "?"}])
    done = command(*UPLOAD, "+input_jsonl_fpath=tasks.jsonl")
    assert done.status == 2
    assert "line 2 lacks responses_create_params" in done.err
    assert hub.requests == []


def test_prepare_fetches_what_is_missing_when_told(command: Command, hub: HubState, project: Path) -> None:
    hub.repos["acme/weather"] = {"train.jsonl": content(LARGE)}
    config = configure(project, f"name: a, type: train, jsonl_fpath: data/train.jsonl, {SOURCE}")
    prepare = ("ng_prepare_data", config, "+mode=train_preparation", "+output_dirpath=out")
    refused = command(*prepare)
    assert refused.status == 2
    assert "+should_download=true fetches it" in refused.err
    done = command(*prepare, "+should_download=true")
    assert done.status == 0, done.err
    assert len(read_jsonl(project / "out/train.jsonl")) == LARGE
