"""What `ng_init_resources_server` makes, in a folder of the user's own: its tests, its proof, and a collection."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest

from nemo_gym.commands.environments.init_resources_server import TemplateName
from nemo_gym.environments import Environment
from tests.free_port import free_port
from tests.integration.conftest import Command

pytestmark = pytest.mark.integration
WITH_TURNS = pytest.mark.skipif(not hasattr(Environment, "next_turn"), reason="environments can't take turns here")
TEMPLATES = [pytest.param(name, marks=WITH_TURNS if name == "multi_turn" else ()) for name in get_args(TemplateName)]
MODEL = "responses_api_models/{0}/configs/{0}.yaml"


def collect(command: Command, project: Path, name: str, *more: str, model: str = "scripted_model") -> list[Any]:
    """Collect the example tasks, whose solutions the scripted model plays; return the rows."""
    folder = project / "resources_servers" / name
    tasks = project / "tasks.jsonl"
    with tasks.open("w") as file:
        for line in (folder / "data/example.jsonl").read_text().splitlines():
            row = json.loads(line)
            solution = row.pop("solution")
            script = [{"message": solution}] if isinstance(solution, str) else solution
            row["responses_create_params"]["metadata"] = {"script": json.dumps(script)}
            file.write(json.dumps(row) + "\n")
    configs = sorted(str(path.relative_to(project)) for path in folder.glob("configs/*.yaml"))
    done = command(
        "ng_e2e_collect_rollouts",
        *configs,
        MODEL.format(model),
        f"agent_name={name}_simple_agent",
        "input_jsonl_fpath=tasks.jsonl",
        "output_jsonl_fpath=rollouts.jsonl",
        f"head_server.port={free_port()}",
        *more,
    )
    assert done.status == 0, done.out + done.err
    return [json.loads(line) for line in (project / "rollouts.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_environment_passes_its_tests_and_its_solutions_are_rewarded(
    template: str, command: Command, project: Path
) -> None:
    name = f"my_{template}"
    made = command("ng_init_resources_server", f"+entrypoint=resources_servers/{name}", f"+template={template}")
    assert made.status == 0, made.err
    tested = command("ng_test", f"+entrypoint=resources_servers/{name}", "+should_validate_data=true")
    assert tested.status == 0, tested.out + tested.err
    rows = collect(command, project, name)
    rewards = [row["reward"] for row in rows]
    if template == "multi_turn":  # a script begins anew with each message of the user: only the first answer is right
        assert all(0.0 < reward < 1.0 for reward in rewards), rewards
    else:
        assert rewards == [1.0] * 5


def test_a_new_environment_is_checked_by_folder_and_by_file_and_the_report_is_json(
    command: Command, project: Path
) -> None:
    command("ng_init_resources_server", "+entrypoint=resources_servers/mine", "+template=judge")
    configs = [f"resources_servers/mine/configs/{name}.yaml" for name in ("mine", "scripted_judge")]
    for arguments in (["+entrypoint=resources_servers/mine"], configs):
        checked = command("ng_check_environment", *arguments, "+json_fpath=report/mine.json", "+limit=2")
        assert checked.status == 0, checked.out + checked.err
        report = json.loads((project / "report/mine.json").read_text())
        assert (report["environment"], report["is_passed"], len(report["checks"])) == ("mine", True, 6)
    data = project / "resources_servers/mine/data/example.jsonl"
    data.write_text(data.read_text().replace("It is Canberra", "It is Sydney"))
    checked = command("ng_check_environment", "+entrypoint=resources_servers/mine", "+skip=[latency,determinism]")
    assert checked.status == 1
    assert "wrong_oracle: the solution is worth 0, not 1 (task 0)" in " ".join(checked.out.split())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "which environment? Name its folder or its files"),
        (["+entrypoint=resources_servers/none"], "no component 'resources_servers/none'"),
        (["+entrypoint=resources_servers/mine", "+skip=[orakle]"], "did you mean 'oracle'?"),
        (["nowhere.yaml"], "nowhere.yaml"),
    ],
)
def test_what_cannot_be_checked_is_a_mistake(arguments: list[str], expected: str, command: Command) -> None:
    command("ng_init_resources_server", "+entrypoint=resources_servers/mine")
    checked = command("ng_check_environment", *arguments)
    assert checked.status == 2
    assert expected in checked.err


@pytest.mark.alone
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "template",
    [pytest.param(name, marks=() if name == "tools" else pytest.mark.soak) for name in get_args(TemplateName)],
)
def test_a_new_environment_is_rolled_out_by_a_real_model(template: str, command: Command, project: Path) -> None:
    pytest.importorskip("xllamacpp")
    command("ng_init_resources_server", "+entrypoint=resources_servers/mine", f"+template={template}")
    more = ("responses_create_params.max_output_tokens=48",)
    rows = collect(command, project, "mine", *more, model="local_model")
    assert len(rows) == 5
    assert all(isinstance(row["reward"], float) for row in rows)
