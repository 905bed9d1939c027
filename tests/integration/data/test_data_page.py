"""The commands of docs/preparing-data.md do what the page says."""

import re
import shlex
from pathlib import Path

from tests.integration.conftest import ROOT, Command, Finished
from tests.integration.data.conftest import read_jsonl, task, write_jsonl
from tests.integration.data.hub_server import HubState

PAGE = (ROOT / "docs/preparing-data.md").read_text()


def blocks_of(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


def run(command: Command, beginning: str) -> list[Finished]:
    """Run the commands of the page that begin so, in order; all of them succeed."""
    lines = "\n".join(blocks_of("bash")).replace("\\\n", " ").splitlines()
    done = [command(*shlex.split(line)) for line in lines if line.startswith(beginning)]
    assert [(each.status, each.err) for each in done if each.status] == []
    return done


def test_the_sets_of_the_page_are_prepared(command: Command, project: Path) -> None:
    (configuration,) = blocks_of("yaml")
    (project / "weather_train.yaml").write_text(configuration)
    write_jsonl(project / "data/train.jsonl", [task(number) for number in range(4)])
    assert len(run(command, "ng_prepare_data")) == 2
    assert len(read_jsonl(project / "results/prepared/train.jsonl")) == 8
    assert len(read_jsonl(project / "results/examples/example.jsonl")) == 5


def test_a_dataset_goes_to_the_hub_and_comes_back(command: Command, hub: HubState, project: Path) -> None:
    rows = [task(number) for number in range(4)]
    write_jsonl(project / "data/train.jsonl", rows)
    assert len([*run(command, "ng_upload_dataset_to_hf"), *run(command, "ng_download_dataset_from_hf")]) == 2
    assert list(hub.repos) == ["acme/NeMo-Gym-weather"]
    assert read_jsonl(project / "data/copy.jsonl") == rows
