"""A real collection, exported, for the tests marked `training`: only `make test-training` runs them."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.free_port import free_port
from tests.integration.conftest import BIN, ROOT
from tests.training.setup_training import TrainingHome

STEP_BOUND_S = 900  # reached only by what hangs
WEATHER = "resources_servers/example_simple_weather"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests that want the trainers unless `-m` asks for them."""
    wanted = "training" in (config.option.markexpr or "")
    for item in items:
        if item.get_closest_marker("training"):
            item.add_marker(pytest.mark.timeout(2 * STEP_BOUND_S))
            if not wanted:
                item.add_marker(pytest.mark.skip(reason="wants real trainers: make test-training"))


@dataclass(frozen=True)
class Workbench:
    """A folder to work in, our commands, and the trainers' Python."""

    folder: Path
    trainers: TrainingHome

    @property
    def environment(self) -> dict[str, str]:
        """No network for the trainers, and our commands first on the path."""
        own = {"NEMO_GYM_HOME": str(self.folder / "home"), "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
        trainers = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(self.folder / "hf"), "TQDM_DISABLE": "1"}
        model = {"PYTHONPATH": str(ROOT), "MODEL": str(self.trainers.model)}  # as if nemo-gym were installed there
        return {**os.environ, **own, **trainers, **model}

    def run(self, *command: str | Path) -> str:
        """Run a command to its end; return what it printed."""
        done = subprocess.run(
            [str(part) for part in command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=STEP_BOUND_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def export(self, form: str, name: str, *options: str) -> list[dict[str, Any]]:
        """Export the collection; return the rows as `datasets` reads them."""
        path = self.folder / name
        source = f"input_jsonl_fpath={self.folder / 'rollouts.jsonl'}"
        self.run("ng_export", f"format={form}", source, f"output_fpath={path}", "overwrite=true", *options)
        code = (
            "import json, sys; from datasets import load_dataset; kind, path = sys.argv[1:]; "
            "print(json.dumps(list(load_dataset(kind, data_files=path, split='train'))))"
        )
        kind = "parquet" if path.suffix == ".parquet" else "json"
        rows: list[dict[str, Any]] = json.loads(self.run(self.trainers.python, "-c", code, kind, path).splitlines()[-1])
        return rows

    def take_step(self, trainer: str, name: str, *loss_on: str) -> dict[str, Any]:
        """Let a trainer take one step on an export; see `take_step.py`."""
        script = Path(__file__).with_name("take_step.py")
        out = self.run(self.trainers.python, script, trainer, self.folder / name, self.trainers.model, *loss_on)
        result: dict[str, Any] = json.loads(out.splitlines()[-1])
        return result


@pytest.fixture(scope="session")
def workbench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    """The weather example's tasks, four rollouts each, of a scripted policy that answers nonsense at times."""
    trainers = TrainingHome.from_environment()
    if not trainers.is_ready:
        pytest.fail("the trainers aren't installed: run `python -m tests.training.setup_training`")
    bench = Workbench(tmp_path_factory.mktemp("training"), trainers)
    bench.run(
        "ng_e2e_collect_rollouts",
        ROOT / WEATHER / "configs/simple_weather.yaml",
        ROOT / "responses_api_models/scripted_model/configs/scripted_model.yaml",
        "policy_model.responses_api_models.scripted_model.return_token_id_information=true",
        "policy_model.responses_api_models.scripted_model.faults="
        "[{kind: huge_body, size_bytes: 40, every: 3, when: {step: 0}}]",
        "agent_name=simple_weather_simple_agent",
        f"input_jsonl_fpath={ROOT / WEATHER}/data/example.jsonl",
        f"output_jsonl_fpath={bench.folder}/rollouts.jsonl",
        "num_repeats=4",
        "num_samples_in_parallel=1",
        f"head_server.port={free_port()}",
    )
    return bench


def as_policy_wrote(message: dict[str, Any]) -> str:
    """An assistant message in the form of `chat_template.jinja`, with the end that the policy writes."""
    calls = [json.dumps(call["function"]) for call in message.get("tool_calls") or []]
    return message["content"] + "".join(f"<tool_call>{call}</tool_call>" for call in calls) + "<|im_end|>"
