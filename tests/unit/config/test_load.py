"""From files to typed instances, and every mistake a person can make on the way."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from omegaconf import OmegaConf

from nemo_gym.config.addresses import reachable_host
from nemo_gym.config.checks.references import Reference
from nemo_gym.config.datasets import load_datasets
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.load import RunConfig, load_config, merge_sources
from nemo_gym.config.reading.command_line import parse_command_line

WEATHER = "weather.resources_servers.weather_station"
AGENT = "weather_agent.responses_api_agents.loop_agent"
MODEL = "policy_model.responses_api_models.remote_model"

pytestmark = pytest.mark.usefixtures("workspace")


def _load(*argv: str) -> RunConfig:
    return load_config(parse_command_line(["+config_paths=${both}", *argv]), own_keys=["dry_run"])


def _error(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        _load(*argv)
    return str(caught.value)


def _extra(workspace: Path, text: str) -> str:
    (workspace / "extra.yaml").write_text(text)
    return _error("extra.yaml")


def test_instances_are_typed(workspace: Path) -> None:
    weather, agent, model = _load(f"{MODEL}.port=8123", f"{MODEL}.num_workers=2", "default_host=0.0.0.0").instances
    assert (weather.name, weather.kind, weather.domain, weather.port) == ("weather", "resources_servers", "agent", None)
    assert weather.entrypoint == workspace / "resources_servers/weather_station/app.py"
    assert agent.references == (
        Reference("resources_servers", "weather", "resources_server"),
        Reference("responses_api_models", "policy_model", "model_server"),
    )
    assert agent.datasets[0].jsonl_fpath == "data/example.jsonl"
    assert (model.port, model.num_workers, model.implementation) == (8123, 2, "remote_model")
    assert (model.bind_host, model.host) == ("0.0.0.0", reachable_host("0.0.0.0"))
    assert model.settings["api_key"] == "sk-canary"


def test_defaults_of_the_head_are_filled_in() -> None:
    config = _load("default_host=127.0.0.2")
    assert (config.head_host, config.head_port) == ("127.0.0.2", 11000)
    assert config.global_config_dict.head_server.port == 11000


def test_representation_of_the_configuration_shows_no_secret() -> None:
    assert "sk-canary" not in repr(_load())


def test_loading_costs_no_more_than_a_few_readings_of_its_files(workspace: Path) -> None:
    files = list(workspace.rglob("*.yaml"))
    control_s = min(_cpu_seconds(lambda: [yaml.safe_load(path.read_text()) for path in files]) for _ in range(5))
    assert min(_cpu_seconds(_load) for _ in range(5)) < 20 * control_s


def _cpu_seconds(work: Callable[[], object]) -> float:
    began_at = time.process_time()
    work()
    return time.process_time() - began_at


def test_reference_to_no_server_names_the_near_one() -> None:
    assert _error(f"{AGENT}.model_server.name=polcy_model").splitlines() == [
        "config error: no server named 'polcy_model'",
        f"  where: command line, key {AGENT}.model_server.name",
        "  known: policy_model",
        "  fix:   did you mean 'policy_model'?",
    ]


def test_reference_without_any_candidate_asks_for_a_file() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(parse_command_line(["weather.yaml"]))
    assert "where: weather.yaml, key weather_agent" in str(caught.value)
    assert "add a configuration file that defines 'policy_model' to config_paths, such as" in str(caught.value)
    assert "responses_api_models/openai_model/configs/openai_model.yaml" in str(caught.value)


def test_reference_to_another_kind_is_a_mistake() -> None:
    text = _error(f"{AGENT}.resources_server.name=policy_model")
    assert "server 'policy_model' is one of the responses_api_models, not of the resources_servers" in text
    assert "known: weather" in text
    assert "did you mean 'resources_servers'?" in _error(f"{AGENT}.judge={{type: resource_servers, name: weather}}")


def test_mapping_with_name_and_another_type_is_no_reference() -> None:
    assert _load(f"{AGENT}.tool_choice={{type: function, name: get_weather}}").instances


def test_missing_policy_key_is_named_with_the_place_to_set_it(workspace: Path) -> None:
    (workspace / "env.yaml").write_text("both: [weather.yaml, model.yaml]\npolicy_base_url: http://x")
    text = _error()
    assert "policy_api_key is needed and not set" in text
    assert f"where: model.yaml, key {MODEL}.api_key" in text
    assert "fix:   set policy_api_key in env.yaml or on the command line: +policy_api_key=..." in text
    assert "mistakes" not in text


def test_missing_domain_lists_the_known_ones() -> None:
    text = _error(f"{WEATHER}.domain=maths")
    assert "domain is 'maths', which isn't known" in text
    assert "known: math, coding, agent" in text
    assert "did you mean 'math'?" in text


def test_missing_entrypoint_says_what_to_add_and_a_missing_domain_is_other(workspace: Path) -> None:
    text = _extra(workspace, "weather_2: {resources_servers: {weather_station: {entrypont: app.py}}}")
    assert "domain" not in text
    assert "server 'weather_2' has no entrypoint" in text
    assert "rename 'entrypont' to 'entrypoint'" in text
    loaded = _load("+weather_2.resources_servers.weather_station.entrypoint=app.py").instances
    assert [instance.domain for instance in loaded if instance.name == "weather_2"] == ["other"]


def test_environment_without_an_agent_gets_the_simple_one_with_its_own_tools() -> None:
    extra = "+weather_2.resources_servers.weather_station.entrypoint=app.py"
    loaded = _load(extra, "+weather_2_simple_agent.responses_api_agents.simple_agent.max_steps=3").instances
    (agent,) = [instance for instance in loaded if instance.name == "weather_2_simple_agent"]
    assert [instance.name for instance in loaded if instance.kind == "responses_api_agents"][-1] == agent.name
    assert (agent.settings["max_steps"], agent.settings["tools_from_resources_server"]) == (3, True)
    assert {reference.name for reference in agent.references} == {"weather_2", "policy_model"}
    assert "weather_simple_agent" not in [instance.name for instance in loaded]


def test_environment_without_an_agent_gets_none_where_no_model_is_meant() -> None:
    with_two = ("policy_model=null", "+a.responses_api_models.remote_model.entrypoint=app.py")
    loaded = _load("weather_agent=null", *with_two, "+b.responses_api_models.remote_model.entrypoint=app.py").instances
    assert [instance.name for instance in loaded] == ["weather", "a", "b"]


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        pytest.param(
            "new: {resource_servers: {x: {a: 1}}}",
            ["server 'new' has the unknown kind 'resource_servers'", "did you mean 'resources_servers'?"],
            id="unknown-kind",
        ),
        pytest.param(
            "new: {judges: {x: {entrypoint: app.py}}}",
            ["server 'new' has the unknown kind 'judges'", "known: responses_api_models, resources_servers"],
            id="strange-kind",
        ),
        pytest.param(
            "weather: {resources_servers: {other: {entrypoint: app.py}}}",
            ["server 'weather' has 2 implementations: weather_station, other"],
            id="two-implementations",
        ),
        pytest.param(
            "weather: {responses_api_models: {other: {entrypoint: app.py}}}",
            ["server 'weather' has 2 kinds: resources_servers, responses_api_models"],
            id="two-kinds",
        ),
        pytest.param("new: {resources_servers: }", ["server 'new' has no implementation"], id="no-implementation"),
        pytest.param("new: {resources_servers: {x: }}", ["server 'new' has no settings below 'x'"], id="no-settings"),
        pytest.param(
            "weather: {port: 5}",
            ["server 'weather' has 'port' beside 'resources_servers'", "move it below the implementation"],
            id="wrong-level",
        ),
    ],
)
def test_block_of_the_wrong_shape_is_a_mistake(workspace: Path, block: str, expected: list[str]) -> None:
    text = _extra(workspace, block)
    assert [part for part in expected if part not in text] == []
    assert "where: " in text


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        pytest.param(f"{MODEL}.port=70000", "port is 70000, out of range", id="port-range"),
        pytest.param(f"{MODEL}.port=abc", "port is 'abc', not a whole number", id="port-type"),
        pytest.param(f"{MODEL}.host=5", "host is 5, not text", id="host-type"),
        pytest.param(f"{MODEL}.num_workers=two", "num_workers is 'two', not a whole number", id="workers-type"),
        pytest.param(f"{MODEL}.num_workers=0", "num_workers is 0: input should be greater than", id="workers-range"),
        pytest.param(f"{MODEL}.ray_enabled=perhaps", "ray_enabled is 'perhaps', not true or false", id="ray"),
        pytest.param("head_server.port=0", "port is 0, out of range", id="head-port"),
        pytest.param("head_server=here", "head_server is 'here', not a mapping", id="head"),
        pytest.param(
            "+error_on_almost_servers=maybe", "error_on_almost_servers is 'maybe', not true or false", id="almost"
        ),
        pytest.param("+disallowed_ports=[a]", "disallowed_ports[0] is 'a', not a whole number", id="disallowed"),
    ],
)
def test_value_of_the_wrong_type_is_a_mistake(override: str, expected: str) -> None:
    text = _error(override)
    assert expected in text
    assert "where: command line, key " in text


def test_port_twice_and_port_of_the_head_are_mistakes() -> None:
    text = _error(f"{MODEL}.port=9000", f"{WEATHER}.port=11000", f"{AGENT}.port=9000")
    assert "port 11000 of server 'weather' is also that of the head (head_server.port)" in text
    assert "port 9000 of server 'policy_model' is also that of server 'weather_agent'" in text


def test_same_port_on_different_hosts_is_fine() -> None:
    assert _load(f"{MODEL}.port=9000", f"{AGENT}.port=9000", f"{AGENT}.host=127.0.0.2").instances


def test_unknown_component_folder_lists_the_known_ones(workspace: Path) -> None:
    text = _extra(workspace, "new: {resources_servers: {weather_staton: {entrypoint: app.py, domain: agent}}}")
    assert "no component folder 'resources_servers/weather_staton' (tried " in text
    assert "did you mean 'weather_station'?" in text


def test_unknown_entrypoint_lists_the_scripts() -> None:
    text = _error(f"{WEATHER}.entrypoint=ap.py")
    assert "no file 'ap.py' in " in text
    assert "known: app.py" in text
    assert "did you mean 'app.py'?" in text


def test_training_dataset_runs_without_license_source_and_file() -> None:
    _, agent, _ = _load(f"{AGENT}.datasets=[{{name: big, type: train, jsonl_fpath: not/there.jsonl}}]").instances
    assert agent.datasets[0].lacking == ["license", "gitlab_identifier or huggingface_identifier"]


def test_example_dataset_lacks_nothing() -> None:
    assert _load().instances[1].datasets[0].lacking == []


@pytest.mark.parametrize(
    ("datasets", "expected"),
    [
        pytest.param("[{name: big, type: trian, jsonl_fpath: x}]", "did you mean 'train'?", id="unknown-type"),
        pytest.param("[{name: big, type: train}]", "datasets[0] has no jsonl_fpath", id="no-file"),
        pytest.param("[{name: '???', type: train, jsonl_fpath: x}]", "has no value yet (???)", id="no-value"),
        pytest.param("[{name: '${n}', type: train, jsonl_fpath: x}]", "n is needed and not set", id="no-key"),
        pytest.param("many", "datasets of server 'weather_agent' isn't a list", id="not-a-list"),
    ],
)
def test_dataset_with_a_mistake_is_a_warning_since_no_server_reads_it(
    datasets: str, expected: str, workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (workspace / "extra.yaml").write_text(
        f"weather_agent: {{responses_api_agents: {{loop_agent: {{datasets: {datasets}}}}}}}"
    )
    _, agent, _ = _load("extra.yaml").instances
    assert agent.datasets == ()
    [record] = caplog.records
    assert record.getMessage().startswith("config warning: ")
    assert expected in record.getMessage()
    assert f"extra.yaml, key {AGENT}.datasets" in record.getMessage()


def test_datasets_below_an_environment_are_read_by_no_one_and_everyone_says_so(
    workspace: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = "{name: example, type: example, jsonl_fpath: data/example.jsonl}"
    block = f"weather: {{resources_servers: {{weather_station: {{datasets: [{entry}]}}}}}}"
    (workspace / "extra.yaml").write_text(block)
    weather, agent, _ = _load("extra.yaml").instances
    assert (weather.datasets, len(agent.datasets)) == ((), 1)
    said = "datasets of 'weather', which is one of the resources_servers, aren't read"
    assert [record.getMessage().split("\n")[0] for record in caplog.records] == [f"config warning: {said}"]
    with pytest.raises(ConfigError, match=said) as refused:
        load_datasets(parse_command_line(["weather.yaml", "extra.yaml"]))
    assert f"extra.yaml, key {WEATHER}.datasets" in str(refused.value)


def test_option_of_a_data_command_that_is_misspelt_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'should_downlaod'\n.*\n.*did you mean 'should_download'"):
        load_datasets(parse_command_line(["weather.yaml", "+should_downlaod=true"]), ["should_download"])


def test_server_set_to_null_is_left_out() -> None:
    names = [instance.name for instance in _load("weather_agent=null", "+weather_simple_agent=null").instances]
    assert names == ["weather", "policy_model"]
    assert "no server named 'policy_model'" in _error("policy_model=null")


@pytest.mark.parametrize(
    ("value", "expected", "fix"),
    [
        ("127.0.0.1:8000/v1", "which doesn't start with http:// or https://", "write http://127.0.0.1:8000/v1"),
        ("htp://h/v1", "which doesn't start with http:// or https://", "write http://<host>:<port>/..."),
        ("'http://'", "a URL without a host", "write http://<host>/..."),
        ("8000", "which doesn't start with http:// or https://", "write http://8000"),
    ],
)
def test_base_url_that_is_none_is_one_mistake_where_it_is_written(
    workspace: Path, value: str, expected: str, fix: str
) -> None:
    (workspace / "env.yaml").write_text(
        f"policy_base_url: {value}\npolicy_api_key: k\nboth: [weather.yaml, model.yaml]"
    )
    lines = _error().splitlines()
    assert lines[0].startswith("config error: policy_base_url is '")
    assert lines[0].endswith(expected)
    assert lines[1:] == ["  where: env.yaml, key policy_base_url", f"  fix:   {fix}"]


def test_every_base_url_is_checked_wherever_it_is(workspace: Path) -> None:
    text = _error(
        f"+{MODEL}.judge_base_url=h:1", "+policy_base_url=[http://a/v1,b]", "+host=h", "+x.BASE_URL=${host}:1"
    )
    assert f"where: command line, key {MODEL}.judge_base_url" in text
    assert "policy_base_url[1] is 'b'" in text
    assert "BASE_URL is 'h:1'" in text
    assert text.endswith("3 mistakes")


def test_base_url_that_is_empty_or_a_list_of_urls_is_fine() -> None:
    assert _load("+policy_base_url=[http://a/v1,HTTPS://b]", "+judge_base_url=''", "+other_base_url=null").instances


@pytest.mark.parametrize("name", ["a" * 300, "a/b", "a b", "ä", ".hidden", '"a\\0"', "a;b"])
def test_instance_name_that_no_file_or_cookie_can_have_is_one_mistake(workspace: Path, name: str) -> None:
    text = _extra(
        workspace, f"{name}: {{resources_servers: {{weather_station: {{entrypoint: app.py, domain: agent}}}}}}"
    )
    assert "can't be the name of a server" in text
    assert "where: extra.yaml, key " in text
    assert len(text) < 500
    assert "mistakes" not in text


@pytest.mark.parametrize(
    ("key", "match"),
    [
        ("num_worker", "num_workers"),
        ("hosts", "host"),
        ("dataset", "datasets"),
        ("max_request_byte", "max_request_bytes"),
    ],
)
def test_setting_that_is_nearly_a_shared_one_is_a_mistake(key: str, match: str) -> None:
    text = _error(f"+{MODEL}.{key}=2")
    assert text.splitlines() == [
        f"config error: unknown setting '{key}'",
        f"  where: command line, key {MODEL}.{key}",
        f"  fix:   did you mean '{match}'?",
    ]


def test_setting_that_the_component_mentions_is_its_own_whatever_it_resembles(workspace: Path) -> None:
    (workspace / "responses_api_models/remote_model/settings.py").write_text("hosts: list[str]")
    assert _load(f"+{MODEL}.hosts=[a]").instances


def test_other_settings_are_left_to_the_server(caplog: pytest.LogCaptureFixture) -> None:
    assert _load(f"+{MODEL}.temperature=0", f"+{WEATHER}.description=x", f"+{WEATHER}.verified=true").instances
    assert caplog.records == []


def _copy(root: Path, folder: str) -> None:
    component = root / "resources_servers/weather_station"
    (component / "configs").mkdir(parents=True)
    (component / "app.py").touch()
    (root / folder).mkdir(parents=True, exist_ok=True)
    (root / folder / "copy.yaml").write_text(
        "copy: {resources_servers: {weather_station: {entrypoint: app.py, domain: agent}}}"
    )


@pytest.mark.parametrize("folder", ["resources_servers/weather_station/configs", "configs/weather", "."])
def test_component_beside_the_file_that_defines_the_instance_wins(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory, folder: str
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    _copy(elsewhere, folder)
    instances = {instance.name: instance for instance in _load(str(elsewhere / folder / "copy.yaml")).instances}
    assert instances["copy"].directory == elsewhere / "resources_servers/weather_station"
    assert instances["weather"].directory == workspace / "resources_servers/weather_station"


def test_data_file_is_found_beside_the_configuration_files(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    _copy(elsewhere, "resources_servers/weather_station/configs")
    data = Path("resources_servers/weather_station/tasks.jsonl")
    (elsewhere / data).touch()
    config = _load(str(elsewhere / "resources_servers/weather_station/configs/copy.yaml"))
    assert config.find_file(data, "input_jsonl_fpath") == elsewhere / data
    (workspace / data).touch()
    assert config.find_file(data, "input_jsonl_fpath") == workspace / data
    assert config.find_file(Path("none.jsonl"), "input_jsonl_fpath") is None


def test_file_that_only_overrides_a_setting_does_not_move_the_component(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    _copy(elsewhere, ".")
    (elsewhere / "port.yaml").write_text("weather: {resources_servers: {weather_station: {port: 8123}}}")
    weather = _load(str(elsewhere / "port.yaml")).instances[0]
    assert (weather.port, weather.directory) == (8123, workspace / "resources_servers/weather_station")


def test_component_in_a_folder_above_that_anyone_can_write_to_is_not_taken(
    workspace: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    shared = tmp_path_factory.mktemp("shared")
    _copy(shared, "mine")
    shared.chmod(0o777)
    copy = {i.name: i for i in _load(str(shared / "mine/copy.yaml")).instances}["copy"]
    assert copy.directory == workspace / "resources_servers/weather_station"


@pytest.mark.parametrize(
    ("argument", "match"),
    [
        ("+confg_paths=[a]", "config_paths"),
        ("+dry_rn=true", "dry_run"),
        ("+polcy_model.responses_api_models.remote_model.port=1", "policy_model"),
        ("+head_server.prt=1", "port"),
    ],
)
def test_misspelt_key_on_the_command_line_is_a_mistake(argument: str, match: str) -> None:
    text = _error(argument)
    assert "unknown key '" in text
    assert f"did you mean '{match}'?" in text
    assert "mistakes" not in text


def test_plain_and_used_keys_on_the_command_line_are_fine(workspace: Path) -> None:
    (workspace / "extra.yaml").write_text("url: ${policy_base_urls}")
    assert _load("extra.yaml", "+anything=1", "+policy_base_urls=x").global_config_dict.url == "x"


def test_all_mistakes_are_reported_together() -> None:
    text = _error(f"{WEATHER}.domain=maths", f"{WEATHER}.port=11000", f"{AGENT}.model_server.name=x", "y=${nothing}")
    assert text.endswith("4 mistakes")


def test_mistake_about_a_secret_does_not_show_it() -> None:
    text = _error(f"{MODEL}.host={{api_key: sk-canary}}", "+disallowed_ports=http://u:sk-canary@h")
    assert "sk-canary" not in text
    assert "http://****@h" in text


def test_almost_servers_are_left_out_with_the_servers_that_need_them() -> None:
    config = _load("error_on_almost_servers=false", f"{MODEL}.port=0")
    assert [instance.name for instance in config.instances] == ["weather"]
    assert [mistake.what for mistake in config.ignored] == ["port is 0, out of range", "no server named 'policy_model'"]
    assert "policy_model" not in config.global_config_dict
    assert "weather_agent" not in config.global_config_dict


def test_almost_servers_do_not_excuse_a_mistake_elsewhere() -> None:
    text = _error("error_on_almost_servers=false", f"{MODEL}.port=0", "x=???")
    assert "x has no value yet" in text
    assert "port is 0" not in text


def test_merge_sources_reads_values_whatever_the_servers_are(workspace: Path) -> None:
    (workspace / "env.yaml").write_text("both: [weather.yaml, model.yaml]\nconfig_paths: ${both}\nlimit: 3")
    config = merge_sources(parse_command_line([]))
    assert (config.limit, config.head_server.port) == (3, 11000)
    assert OmegaConf.to_container(config.policy_model) == {
        "responses_api_models": {"remote_model": {"entrypoint": "app.py"}}
    }
