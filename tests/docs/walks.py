"""Which pages are followed together, what their reader has before, and what has to be there at the end.

A page that isn't named here is followed alone, by a reader with an empty folder and an endpoint in env.yaml.
"""

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer, models

from nemo_gym.servers.serving.testing import serve_in_thread
from tests.cluster.networks import Loopback
from tests.cluster.nodes import Nodes
from tests.docs.pages import ROOT, RUN, blocks_of, page_names
from tests.docs.reader import KEY, Reader
from tests.free_port import free_port
from tests.integration.conftest import BIN, COMMAND_BOUND_S
from tests.integration.data.conftest import read_jsonl, task, write_jsonl
from tests.integration.data.hub_server import TOKEN, HubState, hub_app
from tests.made_collections import write_collection

Around = Callable[[Reader], AbstractContextManager[object]]
WEATHER = "resources_servers/example_simple_weather/configs/simple_weather.yaml"
TASKS = "resources_servers/example_simple_weather/data/example.jsonl"
SCRIPTED = "responses_api_models/scripted_model/configs/scripted_model.yaml"
VLLM = "responses_api_models/vllm_model/configs/vllm_model.yaml"
CHECKOUT = ("resources_servers", "responses_api_models", "responses_api_agents", "benchmarks", "env.yaml.example")


@dataclass(frozen=True)
class Walk:
    """Pages in the order in which somebody reads them, and what is around that."""

    pages: tuple[str, ...]
    around: Around = nullcontext


def walks() -> dict[str, Walk]:
    """Every walk by its name; together they have every page with a block to run."""
    named = {page for walk in _WALKS.values() for page in walk.pages}
    alone = {page: Walk((page,)) for page in page_names() if page not in named and has_something_to_run(page)}
    return _WALKS | alone


def has_something_to_run(page: str) -> bool:
    """Whether a page has a bash or Python block."""
    return any(block.language in RUN for block in blocks_of(page))


def rewards_in(path: Path) -> list[float]:
    """The rewards of a collection, sorted."""
    return sorted(row["reward"] for row in read_jsonl(path))


def collects(name: str, *rewards: float) -> Around:
    """At the end a collection has these rewards."""

    @contextmanager
    def around(reader: Reader) -> Iterator[None]:
        yield
        assert rewards_in(reader.folder / name) == sorted(rewards)

    return around


@contextmanager
def in_a_checkout(reader: Reader) -> Iterator[None]:
    """The reader works in a checkout, whose environment is active; the key is in nothing that is left behind."""
    for name in CHECKOUT:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, reader.folder / name)
    (reader.folder / ".venv").symlink_to(BIN.parent)
    yield
    assert not (reader.folder / "outputs").exists()
    left = [*reader.folder.parent.glob("*.log"), *reader.folder.glob("*.jsonl"), *reader.folder.glob("results/*")]
    assert [path for path in left if path.is_file() and KEY in path.read_text()] == []


def both(*each: Around) -> Around:
    """One within the other."""

    @contextmanager
    def around(reader: Reader) -> Iterator[None]:
        with ExitStack() as stack:
            for one in each:
                stack.enter_context(one(reader))
            yield

    return around


def knows(given: str) -> Around:
    """Blocks of Python know these names."""

    @contextmanager
    def around(reader: Reader) -> Iterator[None]:
        reader.given = given
        yield

    return around


def with_servers(*arguments: str) -> Around:
    """A run is up, whose files are also those of `my.yaml`."""

    @contextmanager
    def around(reader: Reader) -> Iterator[None]:
        (reader.folder / "my.yaml").write_text(json.dumps({"config_paths": list(arguments)}))
        reader.start(" ".join(["ng_run", *arguments]))
        yield

    return around


@contextmanager
def after_five_rollouts(reader: Reader) -> Iterator[None]:
    """The run that is up has rolled out the tasks of the weather environment."""
    names = (f"input_jsonl_fpath={TASKS}", "output_jsonl_fpath=five.jsonl")
    command = ["ng_collect_rollouts", "agent_name=simple_weather_simple_agent", *names]
    subprocess.run(command, cwd=reader.folder, env=reader.environment, timeout=COMMAND_BOUND_S, check=True)
    yield


@contextmanager
def with_collections(reader: Reader) -> Iterator[None]:
    """There are some collections to look at."""
    for name in ("results/rollouts.jsonl", "rollouts.jsonl", "before.jsonl", "after.jsonl"):
        write_collection(reader.folder / name)
    yield


@contextmanager
def with_a_tokenizer(reader: Reader) -> Iterator[None]:
    """The folder of a model has a tokenizer.json."""
    folder = reader.folder / "models/policy"
    folder.mkdir(parents=True)
    Tokenizer(models.WordLevel({"hello": 0, "?": 1}, unk_token="?")).save(str(folder / "tokenizer.json"))
    yield


@contextmanager
def with_a_package(reader: Reader) -> Iterator[None]:
    """The package of the page is there, and a model that always says 3."""
    shutil.copytree(ROOT / "docs/examples/letter_count/letter_count", reader.folder / "letter_count")
    model = {"scripted_model": {"entrypoint": "app.py", "default_answer": {"message": "3"}}}
    (reader.folder / "model.yaml").write_text(json.dumps({"policy_model": {"responses_api_models": model}}))
    with collects("rollouts.jsonl", 0, 0, 0, 1, 1)(reader):
        yield


@contextmanager
def on_a_cluster(reader: Reader) -> Iterator[None]:
    """Two nodes are there, and what they have in common with the reader's terminal."""
    nodes = Nodes(Loopback(), Path(reader.environment["NEMO_GYM_HOME"]), num_nodes=2, port=free_port())
    nodes.home.mkdir(parents=True, exist_ok=True)
    reader.names["10.0.0.1:6379"] = nodes.address
    reader.environment.update({name: value for name, value in nodes.environment.items() if name.startswith("RAY_")})
    try:
        nodes.start_two()
        yield
    finally:
        reader.stop()
        nodes.close()
    assert rewards_in(reader.folder / "results/cluster/rollouts.jsonl") == [1.0] * 5


@contextmanager
def with_a_hub(reader: Reader) -> Iterator[None]:
    """Four tasks, and a Hugging Face hub on loopback whose token is in env.yaml."""
    rows: list[dict[str, Any]] = [task(number) for number in range(4)]
    write_jsonl(reader.folder / "data/train.jsonl", rows)
    with (reader.folder / "env.yaml").open("a") as file:
        file.write(f"hf_token: {TOKEN}\n")
    hub = HubState()
    with serve_in_thread(hub_app(hub)) as port:
        hub.url = reader.environment["HF_ENDPOINT"] = f"http://127.0.0.1:{port}"
        reader.environment["HF_HUB_DISABLE_XET"] = "1"  # another protocol for large files, which this hub doesn't speak
        reader.environment["HF_HOME"] = str(reader.folder.parent / "hf_home")
        yield
    assert len(read_jsonl(reader.folder / "results/prepared/train.jsonl")) == 8
    assert len(read_jsonl(reader.folder / "results/examples/example.jsonl")) == 5
    assert list(hub.repos) == ["acme/NeMo-Gym-weather"]
    assert read_jsonl(reader.folder / "data/copy.jsonl") == rows


@contextmanager
def makes_training_data(reader: Reader) -> Iterator[None]:
    """Exports are complete, and leave no temporary file."""
    yield
    made = {path.name for path in (reader.folder / "results/offline").iterdir()}
    assert {
        "profile.html",
        "profile.md",
        "comparison.json",
        "sft.parquet",
        "rl.parquet",
        "rl.parquet.manifest.json",
    } <= made
    assert [name for name in made if name.startswith(".") and name.endswith(".new")] == []


@contextmanager
def has_token_data(reader: Reader) -> Iterator[None]:
    """Every call of every rollout has token data, and none is masked."""
    yield
    for row in read_jsonl(reader.folder / "results/token_data/rollouts.jsonl"):
        calls = [item for item in row["response"]["output"] if "generation_token_ids" in item]
        assert (len(calls), "mask_sample" in row) == (2, False)


_ROW = {"responses_create_params": {"input": "How is the weather in Oslo?"}, "expected_city": "Oslo"}
_COMPLETION = {
    "id": "c",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}],
}
_WALKS = {
    "home, get started": Walk(
        (
            "docs/index.md",
            "docs/get-started/setup-installation.md",
            "docs/get-started/first-agent.md",
            "docs/get-started/verifying-agent-results.md",
            "docs/get-started/collecting-rollouts.md",
        ),
        both(
            in_a_checkout,
            collects("results/rollouts.jsonl", *[1.0] * 5),
            collects("results/weather/rollouts.jsonl", *[1.0] * 10),
        ),
    ),
    "readme": Walk(("README.md",), both(in_a_checkout, collects("weather_rollouts.jsonl", 1.0))),
    "benchmarks": Walk(("docs/benchmarks.md",), in_a_checkout),
    "training data": Walk(("docs/tutorials/offline-training-w-rollouts.md", "docs/exporting.md"), makes_training_data),
    "token data": Walk(("docs/token-data.md",), has_token_data),
    "multi-turn": Walk(("docs/multi-turn.md",), collects("results/cafe/rollouts.jsonl", 0, 1, 1, 1, 1)),
    "judge": Walk(("docs/judge.md",), collects("results/judged/rollouts.jsonl", 0, 1, 1, 1, 1)),
    "packages": Walk(("docs/packages.md",), with_a_package),
    "preparing data": Walk(("docs/preparing-data.md",), with_a_hub),
    "viewer": Walk(("docs/viewer.md",), both(with_collections, with_a_tokenizer)),
    "cluster": Walk(("docs/cluster.md",), on_a_cluster),
    "collecting": Walk(("docs/collecting.md",), with_collections),
    "authentication": Walk(("docs/authentication.md",), with_servers(WEATHER, SCRIPTED)),
    "metrics": Walk(("docs/metrics.md",), both(with_servers(WEATHER, SCRIPTED), after_five_rollouts)),
    "other programs": Walk(
        ("docs/other-programs.md",), both(knows(f"row = {_ROW!r}\n"), with_servers(WEATHER, SCRIPTED))
    ),
    "converter": Walk(("docs/converter.md",), knows(f"params = {{'input': 'Hi'}}\ncompletion = {_COMPLETION!r}\n")),
    "vllm model": Walk(("docs/vllm-model.md",), with_servers(VLLM)),
}
