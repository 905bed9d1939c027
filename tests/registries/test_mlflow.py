"""Datasets in a real MLflow server, with the official client; and a registry that misbehaves."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.config.secrets import learn_secrets
from nemo_gym.data.registries.access import GitlabAccess, connect_gitlab
from nemo_gym.data.registries.errors import RegistryError
from tests.registries.conftest import TOKEN, Finished, Project
from tests.registries.fault_proxy import Faults, fault_proxy

pytest.importorskip("mlflow", reason="make test-registries installs the MLflow client and server")

from nemo_gym.data.registries.http_file import Patience
from nemo_gym.data.registries.mlflow_registry import DatasetFile, MlflowRegistry

pytestmark = [pytest.mark.registries, pytest.mark.timeout(900)]  # the server starts within the first test

ROW = {"responses_create_params": {"input": "How is the weather?"}}
MIB = 2**20


def write_tasks(path: Path, num_rows: int) -> bytes:
    path.write_text("".join(json.dumps({**ROW, "n": n}) + "\n" for n in range(num_rows)))
    return path.read_bytes()


def upload(project: Project, name: str) -> Finished:
    file = ("+input_jsonl_fpath=train.jsonl", "+version=0.0.1")
    return project.run("ng_upload_dataset_to_gitlab", f"+dataset_name={name}", *file)


def file_of(name: str, version: str = "0.0.1") -> DatasetFile:
    return DatasetFile(name, version, "train.jsonl")


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def registry(mlflow_uri: str, faults: Faults, monkeypatch: pytest.MonkeyPatch) -> Iterator[MlflowRegistry]:
    """A client of the server, behind a proxy that misbehaves when told; impatient, so that tests end."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
    learn_secrets({"mlflow_tracking_token": TOKEN})
    with fault_proxy(mlflow_uri, faults) as uri:
        yield MlflowRegistry(uri, TOKEN, Patience(silence_s=15.0, attempts=2, pause_s=0.1))


def test_a_dataset_comes_back_as_it_was_uploaded_and_is_deleted_on_yes(project: Project) -> None:
    content = write_tasks(project.folder / "train.jsonl", 1_000)
    up = upload(project, "round_trip")
    assert up.status == 0, up.err
    (advised,) = [line.split() for line in up.out.splitlines() if "ng_download_dataset_from_gitlab" in line]
    down = project.run(*advised[:-1], "+output_fpath=got/train.jsonl")
    assert down.status == 0, down.err
    assert (project.folder / "got/train.jsonl").read_bytes() == content
    assert [path.name for path in (project.folder / "got").iterdir()] == ["train.jsonl"]
    delete = ("ng_delete_dataset_from_gitlab", "+dataset_name=round_trip")
    for answer, said in (("n\n", "nothing was deleted"), ("y\n", "deleted round_trip")):
        assert said in project.run(*delete, answer=answer).out
    gone = project.run(*advised)
    assert gone.status == 2
    assert "no version '0.0.1' of dataset 'round_trip'" in gone.err
    assert TOKEN not in up.out + up.err + down.out + down.err + gone.err


def test_a_version_keeps_its_content_and_another_version_has_another(registry: MlflowRegistry, tmp_path: Path) -> None:
    path, got = tmp_path / "train.jsonl", tmp_path / "got.jsonl"
    first = write_tasks(path, 10)
    assert registry.upload(file_of("versions"), path)
    assert not registry.upload(file_of("versions"), path)
    write_tasks(path, 11)
    with pytest.raises(ConfigError, match="upload it as a new version"):
        registry.upload(file_of("versions"), path)
    assert registry.upload(file_of("versions", "0.0.2"), path)
    registry.download(file_of("versions"), got)
    assert got.read_bytes() == first
    with pytest.raises(ConfigError, match=r"known: 0\.0\.1, 0\.0\.2"):
        registry.download(file_of("versions", "0.0.3"), got)
    with pytest.raises(ConfigError, match="exists and is another file"):
        registry.download(file_of("versions", "0.0.2"), got)


def test_prepare_fetches_a_dataset_that_is_missing(project: Project) -> None:
    write_tasks(project.folder / "train.jsonl", 7)
    assert upload(project, "prepared").status == 0
    (project.folder / "train.jsonl").unlink()
    source = "gitlab_identifier: {dataset_name: prepared, version: 0.0.1, artifact_fpath: train.jsonl}"
    (project.folder / "a.yaml").write_text(
        "a: {responses_api_agents: {simple_agent: {entrypoint: app.py, datasets: "
        f"[{{name: t, type: train, jsonl_fpath: train.jsonl, license: MIT, {source}}}]}}}}}}\n"
    )
    prepare = ("ng_prepare_data", "a.yaml", "+mode=train_preparation", "+output_dirpath=out", "+should_download=true")
    done = project.run(*prepare, "+data_source=gitlab")
    assert done.status == 0, done.err
    assert len((project.folder / "out/train.jsonl").read_text().splitlines()) == 7


def test_a_download_that_is_cut_off_goes_on_where_it_stopped(
    registry: MlflowRegistry, faults: Faults, tmp_path: Path
) -> None:
    content = write_tasks(tmp_path / "train.jsonl", 50_000)
    registry.upload(file_of("cut"), tmp_path / "train.jsonl")
    faults.cut_at = 2 * MIB
    with pytest.raises(RegistryError, match="fetching"):
        registry.download(file_of("cut"), tmp_path / "got.jsonl")
    assert not (tmp_path / "got.jsonl").exists()
    faults.cut_at, before = None, len(faults.ranges)
    registry.download(file_of("cut"), tmp_path / "got.jsonl")
    assert (tmp_path / "got.jsonl").read_bytes() == content
    (resumed,) = faults.ranges[before:]
    assert resumed is not None
    assert resumed.startswith("bytes=")


def test_bytes_without_the_recorded_checksum_are_removed(
    registry: MlflowRegistry, faults: Faults, tmp_path: Path
) -> None:
    write_tasks(tmp_path / "train.jsonl", 100)
    registry.upload(file_of("garbled"), tmp_path / "train.jsonl")
    faults.garble = True
    with pytest.raises(RegistryError, match="doesn't have the sha256"):
        registry.download(file_of("garbled"), tmp_path / "got.jsonl")
    assert [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]


def test_an_upload_that_fails_leaves_no_version_and_is_done_again(
    registry: MlflowRegistry, faults: Faults, tmp_path: Path
) -> None:
    write_tasks(tmp_path / "train.jsonl", 100)
    faults.fail_uploads_of = "/train.jsonl"
    with pytest.raises(RegistryError, match=r"uploading train\.jsonl of halfway 0\.0\.1 failed") as failed:
        registry.upload(file_of("halfway"), tmp_path / "train.jsonl")
    assert TOKEN not in str(failed.value)  # which the proxy sends back
    assert registry.versions("halfway") == []
    faults.fail_uploads_of = None
    assert registry.upload(file_of("halfway"), tmp_path / "train.jsonl")
    assert registry.versions("halfway") == ["0.0.1"]


def test_what_was_stored_otherwise_than_sent_is_no_version(
    registry: MlflowRegistry, faults: Faults, tmp_path: Path
) -> None:
    write_tasks(tmp_path / "train.jsonl", 100)
    faults.garble = True
    with pytest.raises(RegistryError, match="the registry holds"):
        registry.upload(file_of("stored"), tmp_path / "train.jsonl")
    assert registry.versions("stored") == []


@pytest.mark.parametrize("fault", ["500", "hang"])
def test_a_registry_in_trouble_is_given_up_and_said(
    registry: MlflowRegistry, faults: Faults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    write_tasks(tmp_path / "train.jsonl", 3)
    faults.status, faults.hang = (500, False) if fault == "500" else (None, True)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with pytest.raises(RegistryError) as up:
        registry.upload(file_of("trouble"), tmp_path / "train.jsonl")
    with pytest.raises(RegistryError) as down:
        registry.download(file_of("trouble"), tmp_path / "got.jsonl")
    assert TOKEN not in f"{up.value} {down.value}"
    assert [path.name for path in tmp_path.iterdir()] == ["train.jsonl"]


def test_a_missing_address_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="mlflow_tracking_uri is missing"):
        connect_gitlab(GitlabAccess())
