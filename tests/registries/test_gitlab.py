"""Where GitLab's registry differs from an MLflow server: versions are texts, and have their runs from the start."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from nemo_gym.config.errors import ConfigError
from nemo_gym.data.registries.errors import RegistryError
from tests.registries.conftest import TOKEN
from tests.registries.gitlab_server import gitlab_server

pytest.importorskip("mlflow", reason="make test-registries installs the MLflow client and server")

from nemo_gym.data.registries.mlflow_registry import DatasetFile, MlflowRegistry

pytestmark = pytest.mark.registries

FILE = DatasetFile("weather", "0.0.1", "train.jsonl")


@pytest.fixture
def uri(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    with gitlab_server(TOKEN) as address:
        yield address


def test_a_dataset_goes_to_gitlab_comes_back_and_is_deleted(uri: str, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"n": 1}\n')
    registry = MlflowRegistry(uri, TOKEN)
    assert registry.upload(FILE, tmp_path / "train.jsonl")
    assert not registry.upload(FILE, tmp_path / "train.jsonl")
    assert registry.download(FILE, tmp_path / "got.jsonl") is not None
    assert (tmp_path / "got.jsonl").read_bytes() == (tmp_path / "train.jsonl").read_bytes()
    registry.delete("weather")
    with pytest.raises(ConfigError, match=r"no version '0\.0\.1' of dataset 'weather'"):
        registry.download(FILE, tmp_path / "got.jsonl")
    with pytest.raises(ConfigError, match="no dataset 'weather'"):
        registry.delete("weather")


def test_a_wrong_token_is_said_without_being_shown(uri: str, tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"n": 1}\n')
    with pytest.raises(RegistryError, match="401") as refused:
        MlflowRegistry(uri, "glpat-another-token-0123456789").upload(FILE, tmp_path / "train.jsonl")
    assert "another-token" not in str(refused.value)
