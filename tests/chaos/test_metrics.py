"""`GET /metrics` of a real run: what a collection leaves in it, a server that hangs, who may read it, the dashboard."""

import json
import os
import re
import signal
import urllib.error
import urllib.request
from collections.abc import Mapping

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.bounds import HANGS_AFTER_S
from tests.chaos.conftest import MakeCollector
from tests.chaos.processes import ROOT, Endpoint, Run
from tests.run_access import run_headers

DASHBOARD = ROOT / "docs" / "grafana-dashboard.json"
PAGE = ROOT / "docs" / "metrics.md"
TASKS = 4
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def scrape(run: Run) -> Samples:
    url = f"http://127.0.0.1:{run.head_port}/metrics"
    asked = urllib.request.Request(url, headers=run_headers(run.place.home))
    with urllib.request.urlopen(asked, timeout=HANGS_AFTER_S) as answer:
        assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
        families = list(text_string_to_metric_families(answer.read().decode()))
    assert len({family.name for family in families}) == len(families), "each family has its samples in one place"
    return {(s.name, frozenset(s.labels.items())): s.value for family in families for s in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum of the samples that have these labels."""
    return sum(v for (found, has), v in samples.items() if found == name and labels.items() <= dict(has).items())


def test_a_collection_shows_in_the_metrics_of_the_servers_that_it_used(
    run: Run, endpoint: Endpoint, collector: MakeCollector
) -> None:
    before = scrape(run)
    endpoint.set_faults({"kind": "status", "status": 401, "when": {"last_user_matches": "Task 3"}})
    assert collector(TASKS, "+strict=false").run() == 1
    after = scrape(run)

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    of_agent: Mapping[str, str] = {"server": "chaotic_agent", "route": "/run"}
    assert grown("nemo_gym_requests_total", **of_agent, outcome="ok") == TASKS - 1
    assert grown("nemo_gym_requests_total", **of_agent, outcome="model_auth") == 1
    assert grown("nemo_gym_requests_total", server="policy_model", outcome="model_auth") == 1
    assert grown("nemo_gym_request_seconds_count", **of_agent) == TASKS
    assert grown("nemo_gym_request_seconds_bucket", **of_agent, le="+Inf") == TASKS
    assert value(after, "nemo_gym_requests_in_flight") == 0
    for instance in run.instances().values():
        labels = {"server": instance["name"], "kind": instance["kind"], "worker": "", "node": ""}
        assert value(after, "nemo_gym_server_up", **labels) == 1
        assert value(after, "nemo_gym_server_restarts_total", **labels) == instance["restarts"]
        assert value(after, "process_resident_memory_bytes", **labels) > 0


def test_a_server_that_hangs_is_said_and_the_others_are_shown(run: Run) -> None:
    run.wait_until_ready()
    pid = run.instances()["chaotic"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        samples = scrape(run)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert value(samples, "nemo_gym_server_up", server="chaotic") == 0
    assert value(samples, "nemo_gym_server_up") == len(run.instances()) - 1
    assert value(samples, "process_open_fds", server="policy_model") > 0
    assert not any(dict(labels).get("server") == "chaotic" for name, labels in samples if name.startswith("process_"))


@pytest.mark.parametrize("server", [None, "policy_model"], ids=["head", "server"])
def test_metrics_want_the_token_of_the_run(server: str | None, run: Run) -> None:
    here = f"http://127.0.0.1:{run.head_port}/metrics"
    url = here if server is None else f"{run.instances()[server]['url']}/server_metrics"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, timeout=HANGS_AFTER_S)
    assert caught.value.code == 401


def test_every_metric_and_label_of_the_dashboard_and_of_the_docs_is_on_a_real_page(run: Run) -> None:
    url, headers = f"{run.instances()['chaotic_agent']['url']}/run", run_headers(run.place.home)
    with pytest.raises(urllib.error.HTTPError):  # of an outcome there is nothing before the first request
        urllib.request.urlopen(urllib.request.Request(url, b"{}", headers), timeout=HANGS_AFTER_S)
    samples = scrape(run)
    names = {name for name, _ in samples}
    dashboard = json.loads(DASHBOARD.read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    asked = {name for query in queries for name in re.findall(r"\b(?:nemo_gym|process)_\w+", query)}
    assert len(asked) > 8
    assert asked <= names
    labels = {label for _, has in samples for label, _ in has} | {"instance"}
    assert {label for query in queries for label in re.findall(r"[{,](\w+)[!=]", query)} <= labels
    assert {
        label for query in queries for by in re.findall(r"by \(([^)]*)\)", query) for label in by.split(", ")
    } <= labels
    documented = set(re.findall(r"^\| `(nemo_gym_\w+)`", PAGE.read_text(), re.MULTILINE))
    assert documented == {re.sub(r"_(bucket|sum|count)$", "", name) for name in names if name.startswith("nemo_gym_")}
