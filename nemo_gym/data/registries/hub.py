"""Datasets on the Hugging Face hub: dataset repositories, with the official client.

Source: https://huggingface.co/docs/huggingface_hub
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from huggingface_hub import HfApi, get_session, hf_hub_url, set_client_factory
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub.hf_api import RepoFile

from nemo_gym.config.errors import ConfigError, Mistake, did_you_mean
from nemo_gym.data.registries.arrival import accept, is_there, partial_path
from nemo_gym.data.registries.checksums import Checksum, checksum_of
from nemo_gym.data.registries.errors import RegistryError, failing_as
from nemo_gym.data.registries.http_file import HttpFile, Patience

_SILENCE_ENV, _SILENCE_S = "HF_HUB_ETAG_TIMEOUT", "30"
"""Seconds without a word from the hub. The client by itself waits for ever, and uses its variable for less."""
_KIND: Literal["dataset"] = "dataset"


@dataclass(frozen=True)
class HubFile:
    """One file of a dataset repository; `revision` is a branch, a tag or a commit, None the default branch."""

    repo_id: str
    file: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{self.file} of {self.repo_id}"


@dataclass(frozen=True)
class Commit:
    """What an upload is recorded as: a commit with a message, or a pull request with it."""

    message: str | None = None
    description: str | None = None
    as_pull_request: bool = False


class Hub:
    """A client of the hub.

    Args:
        token: None: without one.
        endpoint: Address of another hub; None: the one that HF_ENDPOINT names, else Hugging Face's.
        patience: With downloads; None: the usual, with the silence that HF_HUB_ETAG_TIMEOUT says.
    """

    def __init__(self, token: str | None, endpoint: str | None = None, patience: Patience | None = None) -> None:
        self._patience = patience or Patience(silence_s=float(os.environ.get(_SILENCE_ENV, _SILENCE_S)))
        _bound_waiting(self._patience.silence_s)
        self._api = HfApi(endpoint, token=token or False)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def upload(self, file: HubFile, path: Path, commit: Commit = Commit(), *, collection: str | None = None) -> str:
        """Upload a file to a repository, made private where it is new; return the address of the commit.

        What the hub has already is not sent again.

        Raises:
            RegistryError: The hub failed, or holds something else than was sent.
        """
        with _failing(f"uploading {file}"):
            self._api.create_repo(file.repo_id, repo_type=_KIND, private=True, exist_ok=True)
            info = self._api.upload_file(
                path_or_fileobj=path,
                path_in_repo=file.file,
                repo_id=file.repo_id,
                repo_type=_KIND,
                revision=file.revision,
                commit_message=commit.message,
                commit_description=commit.description,
                create_pr=commit.as_pull_request,
            )
            stored = self._checksum(file, info.pr_revision or file.revision)
            if stored is None or not stored.matches(path):
                shown = stored.digest if stored else "nothing"
                raise RegistryError(f"uploading {file}", f"the hub holds {shown}, not {checksum_of(path).digest}")
            if collection is not None:
                self._api.add_collection_item(collection, file.repo_id, _KIND, exists_ok=True)
            return str(info.commit_url)

    def download(self, file: HubFile, target: Path, *, overwrite: bool = False) -> Checksum:
        """Fetch a file, going on where the same download was cut off; return what it was compared with.

        Raises:
            ConfigError: There is no such repository, revision or file; another file is at `target`.
            RegistryError: The hub failed, or sent something else than its checksum says.
            OutputError: The folder can't be made.
        """
        doing = f"downloading {file}"
        with _failing(doing):
            wanted = self._checksum(file, file.revision)
            if wanted is None:
                known = self.files(file.repo_id, file.revision)
                what = f"no file '{file.file}' in {file.repo_id}"
                raise ConfigError(Mistake(what, "artifact_fpath", known, did_you_mean(file.file, known)))
            if is_there(target, wanted, overwrite=overwrite):
                return wanted
            partial = partial_path(target)
            self._content(file).fetch(partial)
            accept(partial, target, wanted, doing)
            return wanted

    def files(self, repo_id: str, revision: str | None = None) -> list[str]:
        """Return the files of a repository; raises ConfigError where there is none, RegistryError."""
        with _failing(f"listing {repo_id}"):
            return sorted(self._api.list_repo_files(repo_id, repo_type=_KIND, revision=revision))

    def file_of_split(self, repo_id: str, split: str, revision: str | None = None) -> HubFile:
        """Return the JSONL file of a split: `<split>.jsonl`, at the top or in `data/`.

        Raises:
            ConfigError: There is no repository, or no such file in it.
            RegistryError: The hub failed.
        """
        files = self.files(repo_id, revision)
        name = next((name for name in (f"{split}.jsonl", f"data/{split}.jsonl") if name in files), None)
        if name is None:
            what, fix = f"{repo_id} has no {split}.jsonl, at the top or in data/", "name the file: artifact_fpath"
            raise ConfigError(Mistake(what, known=files, fix=fix))
        return HubFile(repo_id, name, revision)

    def _content(self, file: HubFile) -> HttpFile:
        # Not with the client's own download: what a process of it has fetched, another one doesn't go on from.
        url = hf_hub_url(file.repo_id, file.file, repo_type=_KIND, revision=file.revision, endpoint=self._api.endpoint)
        return HttpFile(url, self._headers, self._patience)

    def _checksum(self, file: HubFile, revision: str | None) -> Checksum | None:
        """Return what the hub says a file is: large files by their SHA-256, others as git does."""
        found = self._api.get_paths_info(file.repo_id, [file.file], repo_type=_KIND, revision=revision)
        entry = next((entry for entry in found if isinstance(entry, RepoFile)), None)
        if entry is None:
            return None
        return Checksum("sha256", entry.lfs.sha256) if entry.lfs else Checksum("git-sha1", entry.blob_id)


@contextmanager
def _failing(doing: str) -> Iterator[None]:
    try:
        with failing_as(doing, HfHubHTTPError, *_transport_errors()):
            yield
    except RegistryError as error:
        if isinstance(error.__cause__, RepositoryNotFoundError | RevisionNotFoundError):
            fix = "check repo_id and revision; a private repository needs hf_token in env.yaml"
            raise ConfigError(Mistake(str(error), where="repo_id", fix=fix)) from error
        raise
    except HFValidationError as error:
        raise ConfigError(Mistake(str(error), where="repo_id")) from error


def _bound_waiting(seconds: float) -> None:
    """Give a timeout to every request that the library makes without one, whichever of its clients makes it.

    It raises TimeoutError, which the library doesn't retry: it would wait six times as long.
    """
    first = get_session()
    silent = __import__(_library()).TimeoutException

    def bound(request: Any) -> None:
        given = request.extensions.get("timeout", {})
        wanted = {kind: given.get(kind) for kind in ("connect", "read", "write", "pool")}
        request.extensions["timeout"] = {kind: value or seconds for kind, value in wanted.items()}

    # Of the first one's class, which is httpx's or its successor's, depending on the version.
    class Bounded(type(first)):  # type: ignore[misc]
        def send(self, *arguments: Any, **options: Any) -> Any:
            try:
                return super().send(*arguments, **options)
            except silent as error:
                raise TimeoutError(f"the hub said nothing for {seconds:g} s") from error

    def make() -> Any:
        hooks = {**first.event_hooks, "request": [*first.event_hooks["request"], bound]}
        return Bounded(event_hooks=hooks, follow_redirects=first.follow_redirects)

    set_client_factory(make)


def _transport_errors() -> tuple[type[Exception], ...]:
    """Return the errors of the HTTP library that this version of the client is built on."""
    module = __import__(_library())
    return (module.HTTPError, module.InvalidURL)


def _library() -> str:
    client = next(kind for kind in type(get_session()).__mro__ if kind.__module__ != __name__)
    return client.__module__.partition(".")[0]
