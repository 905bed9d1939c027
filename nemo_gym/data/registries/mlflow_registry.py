"""Datasets in a model registry that speaks MLflow, such as GitLab's.

A dataset is a registered model, its version a model version, its file an artifact of that version's run. Beside a file
is another one, `<file>.sha256`, written last: where it is, the upload was complete.

Source: https://docs.gitlab.com/user/project/ml/experiment_tracking/mlflow_client/
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from mlflow import MlflowClient
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean
from nemo_gym.data.registries.arrival import accept, is_there, partial_path
from nemo_gym.data.registries.checksums import Checksum, checksum_of, read_sha256_line, sha256_line
from nemo_gym.data.registries.errors import RegistryError, failing_as
from nemo_gym.data.registries.http_file import HttpFile, Patience

_EXPERIMENT = "nemo_gym_datasets"
_VERSION_TAG = "gitlab.version"
_EXISTS, _MISSING = "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"
_BOUNDS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


@dataclass(frozen=True)
class DatasetFile:
    """One file of one version of a dataset."""

    dataset: str
    version: str
    file: str

    def __str__(self) -> str:
        return f"{self.file} of {self.dataset} {self.version}"


class MlflowRegistry:
    """A client of one registry.

    Args:
        uri: Address of its MLflow API; of GitLab https://<host>/api/v4/projects/<id>/ml/mlflow.
        token: None where it wants none.
    """

    def __init__(self, uri: str, token: str | None, patience: Patience = Patience()) -> None:
        # The client takes these from nowhere else; what a person has set stays.
        for name, value in _BOUNDS.items():
            os.environ.setdefault(name, value)
        if token:
            os.environ["MLFLOW_TRACKING_TOKEN"] = token
        self._uri, self._patience = uri, patience
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._client = MlflowClient(uri, registry_uri=uri)
        self._is_gitlab = "/api/v4/projects/" in urlsplit(uri).path

    def upload(self, file: DatasetFile, path: Path) -> bool:
        """Upload a file; tell whether that was needed. An upload that was cut off is done again.

        Raises:
            ConfigError: The version has another file of that name.
            RegistryError: The registry failed, or holds something else than was sent. A version that was new is not
                made then.
        """
        with _failing(f"uploading {file}"):
            version = self._find(file.dataset, file.version)
            if version is not None:
                return self._add(file, path, str(version.run_id))
            self._make_dataset(file.dataset)
            if self._is_gitlab:  # which makes the run of a version itself
                version = self._client.create_model_version(
                    file.dataset, source="", tags={_VERSION_TAG: file.version}, await_creation_for=0
                )
                return self._add(file, path, str(version.run_id))
            self._make_version(file, path)
            return True

    def download(self, file: DatasetFile, target: Path, *, overwrite: bool = False) -> Checksum | None:
        """Fetch a file, going on where the same download was cut off; return what it was compared with.

        Raises:
            ConfigError: There is no such dataset, version or file; another file is at `target`.
            RegistryError: The registry failed, or sent something else than its checksum says.
            OutputError: The folder can't be made.
        """
        with _failing(f"downloading {file}"):
            run_id = str(self._version(file).run_id)
            wanted = self._recorded(file, run_id)
            if is_there(target, wanted, overwrite=overwrite):
                return wanted
            partial = partial_path(target)
            if wanted is None:
                partial.unlink(missing_ok=True)  # nothing says that it is the beginning of this file
            self._file(run_id, file.file).fetch(partial)
            accept(partial, target, wanted, f"downloading {file}")
            return wanted

    def versions(self, dataset: str) -> list[str]:
        """Return the versions of a dataset, empty where there is none; raises RegistryError."""
        with _failing(f"looking up {dataset}"):
            found = self._client.search_model_versions(f"name='{dataset}'")
            return sorted(version.tags.get(_VERSION_TAG, str(version.version)) for version in found)

    def delete(self, dataset: str) -> None:
        """Delete a dataset with all its versions; raises ConfigError where there is none, RegistryError."""
        with _failing(f"deleting {dataset}"):
            try:
                runs = [] if self._is_gitlab else self._client.search_model_versions(f"name='{dataset}'")
                self._client.delete_registered_model(dataset)
            except MlflowException as error:
                if error.error_code != _MISSING:
                    raise
                raise ConfigError(Mistake(f"no dataset '{dataset}' in {self._uri}", where="dataset_name")) from error
            for version in runs:
                self._client.delete_run(str(version.run_id))

    def _find(self, dataset: str, version: str) -> ModelVersion | None:
        """Return a version. GitLab knows it by the text; others number versions, and have the text as a tag."""
        try:
            if self._is_gitlab:
                return self._client.get_model_version(dataset, version)
            found = self._client.search_model_versions(f"name='{dataset}'")
        except MlflowException as error:
            if error.error_code == _MISSING:
                return None
            raise
        return next((v for v in found if version in (v.tags.get(_VERSION_TAG), str(v.version))), None)

    def _version(self, file: DatasetFile) -> ModelVersion:
        version = self._find(file.dataset, file.version)
        if version is None:
            known = [] if self._is_gitlab else self.versions(file.dataset)
            what = f"no version '{file.version}' of dataset '{file.dataset}' in {self._uri}"
            raise ConfigError(Mistake(what, known=known, fix=did_you_mean(file.version, known)))
        return version

    def _make_dataset(self, name: str) -> None:
        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != _EXISTS:
                raise

    def _make_version(self, file: DatasetFile, path: Path) -> None:
        """Upload first and name the version after: nobody finds one whose file isn't whole."""
        experiment = self._client.get_experiment_by_name(_EXPERIMENT)
        experiment_id = experiment.experiment_id if experiment else self._client.create_experiment(_EXPERIMENT)
        run = self._client.create_run(experiment_id, run_name=f"{file.dataset} {file.version}")
        try:
            self._add(file, path, run.info.run_id)
            self._client.create_model_version(
                file.dataset,
                source=run.info.artifact_uri,
                run_id=run.info.run_id,
                tags={_VERSION_TAG: file.version},
                await_creation_for=0,
            )
        except BaseException:
            self._client.delete_run(run.info.run_id)
            raise
        self._client.set_terminated(run.info.run_id)

    def _add(self, file: DatasetFile, path: Path, run_id: str) -> bool:
        recorded, here = self._recorded(file, run_id), checksum_of(path)
        if recorded == here:
            return False
        if recorded is not None:
            what = f"{file} is in the registry already, with another content (sha256 {recorded.digest})"
            raise ConfigError(Mistake(what, where="version", fix="upload it as a new version"))
        with _named(path, file.file) as local:
            self._client.log_artifact(run_id, str(local))
        stored = self._file(run_id, file.file).sha256()
        if stored != here:
            raise RegistryError(f"uploading {file}", f"the registry holds {stored.digest}, not {here.digest}")
        with tempfile.TemporaryDirectory() as folder:
            note = Path(folder) / f"{file.file}.sha256"
            note.write_text(sha256_line(path))
            self._client.log_artifact(run_id, str(note))
        return True

    def _recorded(self, file: DatasetFile, run_id: str) -> Checksum | None:
        return read_sha256_line(self._file(run_id, f"{file.file}.sha256").text() or "")

    def _file(self, run_id: str, name: str) -> HttpFile:
        artifacts = self._client.get_run(run_id).info.artifact_uri
        base = get_artifact_repository(artifacts, tracking_uri=self._uri).artifact_uri
        if not base.startswith(("http://", "https://")):
            reason = f"its files are in {urlsplit(base).scheme}, not behind the server"
            raise RegistryError(f"finding {name}", f"{reason}: start it with --serve-artifacts")
        return HttpFile(f"{base.rstrip('/')}/{quote(name)}", self._headers, self._patience)


@contextmanager
def _failing(doing: str) -> Iterator[None]:
    with failing_as(doing, MlflowException):
        yield


@contextmanager
def _named(path: Path, name: str) -> Iterator[Path]:
    """Give the file under another base name, which is the one it is uploaded under."""
    if path.name == name:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / name).symlink_to(path.resolve())
        yield Path(folder) / name
