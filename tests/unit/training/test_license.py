"""The license note: carried from the data set to the export, and what forbids it."""

import json
from pathlib import Path

import pytest

from nemo_gym.collections.identity import read_task_set
from nemo_gym.collections.manifest import make_manifest
from nemo_gym.config.errors import ConfigError
from tests.unit.training.conftest import Export, rollout


def collect_with(folder: Path, *datasets: dict[str, str], input_path: Path | None = None) -> None:
    """Write the manifest that a collector of these data sets writes."""
    agent = {"responses_api_agents": {"simple_agent": {"datasets": list(datasets)}}}
    manifest = make_manifest(
        read_task_set([b"{}"]),
        num_repeats=1,
        agent_name="agent",
        params={},
        server_config={"agent": agent},
        code={},
        input_path=input_path,
    )
    (folder / "rollouts_manifest.json").write_text(manifest.model_dump_json())


def test_the_license_of_the_data_set_is_carried_to_the_export(exported: Export, tmp_path: Path) -> None:
    collect_with(tmp_path, {"name": "train", "jsonl_fpath": "t.jsonl", "license": "CC-BY-SA-4.0"})
    _, manifest = exported([rollout(0, 0)], "sft")
    assert manifest.license.stated == {"agent.train": "CC-BY-SA-4.0"}
    assert manifest.license.conditions == ["share alike", "attribution"]


def test_only_the_license_of_the_file_that_was_collected_counts(exported: Export, tmp_path: Path) -> None:
    used, other = tmp_path / "used.jsonl", tmp_path / "other.jsonl"
    used.write_text("{}")
    other.write_text("{}")
    sets = [
        {"name": "used", "jsonl_fpath": str(used), "license": "MIT"},
        {"name": "other", "jsonl_fpath": str(other), "license": "CC-BY-ND-4.0"},
    ]
    collect_with(tmp_path, *sets, input_path=used)
    _, manifest = exported([rollout(0, 0)], "sft")
    assert manifest.license.stated == {"agent.used": "MIT"}


@pytest.mark.parametrize(
    "license",
    ["CC BY-NC-ND 4.0", "cc_by_nd", "All rights reserved", "Proprietary", "evaluation only", "no AI training"],
)
def test_a_license_that_forbids_is_refused_until_it_is_accepted(exported: Export, tmp_path: Path, license: str) -> None:
    with pytest.raises(ConfigError, match=r"seems to forbid this.*\n(.*\n)*.*accept_license=true"):
        exported([rollout(0, 0)], "sft", license=license)
    assert not (tmp_path / "out").exists()
    _, manifest = exported([rollout(0, 0)], "sft", license=license, accept_license=True)
    assert manifest.license.accepted_in_spite_of


@pytest.mark.parametrize("license", ["Apache 2.0", "MIT", "CC-BY-NC-4.0", "Standard terms", None])
def test_other_licenses_are_noted(exported: Export, tmp_path: Path, license: str | None) -> None:
    exported([rollout(0, 0)], "sft", license=license)
    written = json.loads((tmp_path / "out" / "export.jsonl.manifest.json").read_text())
    assert written["license"]["stated"] == ({} if license is None else {"": license})
