"""What the tests don't run of the pages, and why. Everything else in a bash or Python block is run.

By page: how a command begins, or the first line of a Python block, and the reason. A test fails when nothing on the
page begins so.
"""

NEEDS_INDEX = "installs from a package index; `make release-check` installs the package and its extras"
HOUR = "measures for minutes to an hour; the scene that takes a second is run"
REAL_ENGINE = "a real engine, on hardware of its own; `make test-engines` runs it"
REAL_TRAINER = "needs torch and TRL; `make test-training` runs the block up to its training step"
COLLATOR = "goes into a program with torch and TRL; tests/training/take_step.py is one, run by `make test-training`"
OTHER_MACHINE = "names another machine; tests/security/access does it between network namespaces"
REGISTRY = "a real model registry; `make test-registries` runs these commands against one"
REAL_MODEL = "test_make_quickstart_rolls_out_five_tasks_with_the_real_model_twice in tests/integration/test_readme.py"
THIS = "`make test` runs this test"
FRESH_CLONE = "`make release-check` does it in a fresh clone"
KEY_IS_THERE = "the reader's endpoint and key are in env.yaml already"

NOT_RUN: dict[str, dict[str, str]] = {
    "README.md": {
        "make quickstart": REAL_MODEL,
        "make test": THIS,
        "make setup": FRESH_CLONE,
        "cp env.yaml.example env.yaml": KEY_IS_THERE,
    },
    "CONTRIBUTING.md": {"make setup": FRESH_CLONE, "make test": THIS},
    "docs/index.md": {"git clone <this repository>": FRESH_CLONE, "make quickstart": REAL_MODEL},
    "docs/get-started/setup-installation.md": {"make setup": FRESH_CLONE},
    "docs/authentication.md": {"ng_run a.yaml +default_host": OTHER_MACHINE, "NEMO_GYM_RUN_TOKEN=...": OTHER_MACHINE},
    "docs/azure-openai-model.md": {"# my_tokens.py, on": "azure-identity asks a directory of Microsoft's for a token"},
    "docs/cluster.md": {
        "ray start --head": "the nodes of tests/cluster are there already, at other addresses",
        "ray start --address": "the nodes of tests/cluster are there already, at other addresses",
    },
    "docs/benchmarks.md": {
        "make bench": HOUR,
        "python -m benchmarks start_up stop": HOUR,
        "python -m benchmarks in_flight": HOUR,
    },
    "docs/preparing-data.md": {
        "ng_upload_dataset_to_gitlab": REGISTRY,
        "ng_download_dataset_from_gitlab": REGISTRY,
        "ng_delete_dataset_from_gitlab": REGISTRY,
    },
    "docs/tutorials/offline-training-w-rollouts.md": {"import os": REAL_TRAINER},
    "docs/exporting.md": {"from nemo_gym.training.policy_tokens": COLLATOR},
    "docs/tutorials/bring-vllm.md": {"pip install vllm": NEEDS_INDEX, "vllm serve": REAL_ENGINE},
    "docs/viewer.md": {"pip install": NEEDS_INDEX},
    "docs/vllm-model.md": {"vllm serve": REAL_ENGINE},
    "resources_servers/math_with_judge/README.md": {"pip install": NEEDS_INDEX},
    "responses_api_models/local_model/README.md": {"pip install": NEEDS_INDEX},
}

ONLY_IN_DOCS_TEST: dict[str, str] = {
    "docs/tutorials/": "each starts servers several times: minutes together",
    "docs/other-programs.md": "starts three runs",
    "docs/cluster.md": "starts a cluster; tests/cluster asks more of it",
    "docs/authentication.md": "starts a run for one command; tests/security/access asks more of it",
    "docs/metrics.md": "starts a run for one block; tests/chaos/test_metrics.py asks more of it",
    "docs/checking-environments.md": "checks an environment three times; each component's test_check.py does it",
    "docs/tls.md": "starts a run for two commands; tests/security/access/test_tls.py asks more of it",
    "docs/viewer.md": "opens pages and draws figures; tests/browser asks more of it",
    "docs/vllm-model.md": "starts a run for one block; tests/integration/test_endpoints_route.py asks more of it",
    "resources_servers/": "READMEs of components, which have tests of their own",
    "responses_api_models/": "READMEs of components, which have tests of their own",
}
"""How pages begin that `make docs-test` follows and `make test` doesn't, and why."""


def reason_not_to_run(page: str, text: str) -> str:
    """Why a command or a block of a page isn't run, or ""."""
    found = (reason for beginning, reason in NOT_RUN.get(page, {}).items() if text.startswith(beginning))
    return next(found, "")
