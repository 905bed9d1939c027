"""Which datasets are prepared, and whether they may be."""

from collections.abc import Callable, Sequence

from nemo_gym.config.datasets import ConfiguredDataset
from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.data.prepare.mixing import check_weights
from nemo_gym.data.prepare.options import TYPES_OF_MODE, PrepareOptions


def datasets_in_scope(datasets: Sequence[ConfiguredDataset], options: PrepareOptions) -> list[ConfiguredDataset]:
    """Return the datasets of the mode's types.

    Raises:
        ConfigError: There are none; license, source or weight is missing.
    """
    types = TYPES_OF_MODE[options.mode]
    scope = [dataset for dataset in datasets if dataset.config.type in types]
    if not scope:
        known = [f"{d.config.name} ({d.config.type}) of {d.agent}" for d in datasets]
        what = f"no agent has a dataset of type {' or '.join(types)}, which mode {options.mode} prepares"
        fix = "name configuration files whose agents have datasets: +config_paths=[...]"
        raise ConfigError(Mistake(what, where="config_paths", known=known, fix=fix))
    mistakes = [mistake for dataset in scope for mistake in _lacking(dataset)]
    for kind in types:
        try:
            check_weights([dataset for dataset in scope if dataset.config.type == kind], options.seed)
        except ConfigError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigError(*mistakes)
    return scope


def fetch_missing(
    scope: Sequence[ConfiguredDataset], options: PrepareOptions, fetch: Callable[[ConfiguredDataset], None]
) -> None:
    """Have `fetch` bring the files that aren't there; raises ConfigError for those that may not be fetched."""
    missing = list({dataset.path: dataset for dataset in scope if not dataset.path.exists()}.values())
    mistakes = [_missing(dataset) for dataset in missing if not (options.should_download and _has_source(dataset))]
    if mistakes:
        raise ConfigError(*mistakes)
    for dataset in missing:
        fetch(dataset)


def _lacking(dataset: ConfiguredDataset) -> list[Mistake]:
    config = dataset.config
    return [
        Mistake(f"{config.type} dataset '{config.name}' has no {need}", dataset.where, fix=f"add {need} there")
        for need in config.lacking
    ]


def _missing(dataset: ConfiguredDataset) -> Mistake:
    fix = "+should_download=true fetches it" if _has_source(dataset) else "write the file, or correct jsonl_fpath"
    return Mistake(f"no file {dataset.path} of dataset '{dataset.config.name}'", dataset.where, fix=fix)


def _has_source(dataset: ConfiguredDataset) -> bool:
    return bool(dataset.config.gitlab_identifier or dataset.config.huggingface_identifier)
