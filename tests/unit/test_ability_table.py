"""Every yes in the table of docs/model-servers.md is a test, named here."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPENAI, AZURE, VLLM = (
    f"responses_api_models/{name}/tests/test_app.py" for name in ("openai_model", "azure_openai_model", "vllm_model")
)
VLLM_TOKENS, RECORDED = "responses_api_models/vllm_model/tests/test_token_data.py", "tests/engines/test_model_server.py"
LOCAL = "responses_api_models/local_model/tests"
SCRIPTED = "responses_api_models/scripted_model/tests"
CLIENT, ENDPOINT = "tests/integration/test_openai_client.py", "tests/unit/servers/test_openai_endpoint.py"

TESTS = {
    "Responses requests": {
        "openai_model": (OPENAI, "test_a_response_comes_back_and_the_endpoint_was_asked_for_the_configured_model"),
        "azure_openai_model": (AZURE, "test_a_deployment_answers_a_responses_request_and_is_shown_the_key"),
        "vllm_model": (VLLM, "test_a_chat_endpoint_answers_a_responses_request"),
        "local_model": (f"{LOCAL}/test_local_model.py", "test_a_token_limit_makes_the_response_incomplete"),
        "scripted_model": (
            f"{SCRIPTED}/test_answer_bodies.py",
            "test_response_validates_as_the_published_and_as_our_type",
        ),
    },
    "Chat Completions requests": {
        "openai_model": (OPENAI, "test_a_completion_comes_back"),
        "azure_openai_model": (AZURE, "test_the_official_client_parses_what_both_routes_answer"),
        "vllm_model": (VLLM, "test_the_chat_route_answers_a_chat_request"),
        "local_model": (f"{LOCAL}/test_local_model.py", "test_chat_completions_calls_a_tool_in_its_own_shape"),
        "scripted_model": (
            f"{SCRIPTED}/test_answer_bodies.py",
            "test_chat_completion_validates_as_the_published_and_as_our_type",
        ),
    },
    "endpoints with only one of the two APIs": {
        "openai_model": (OPENAI, "test_an_endpoint_with_one_api_answers_requests_of_both"),
        "azure_openai_model": (AZURE, "test_a_deployment_answers_a_responses_request_and_is_shown_the_key"),
        "vllm_model": (VLLM, "test_a_chat_endpoint_answers_a_responses_request"),
    },
    "function tools": {
        "openai_model": (CLIENT, "test_responses_create_with_a_tool_is_parsed_by_the_async_client"),
        "vllm_model": (RECORDED, "test_tool_calls_as_recorded_are_parsed_by_the_engine_from_the_tokens_it_sampled"),
        "local_model": (
            f"{LOCAL}/test_local_model.py",
            "test_a_question_for_a_tool_is_answered_by_a_call_with_its_arguments",
        ),
        "scripted_model": (f"{SCRIPTED}/test_app.py", "test_shipped_configuration_calls_the_weather_tool_for_the_city"),
    },
    "forced tool calls": {
        "vllm_model": (RECORDED, "test_tool_calls_as_recorded_are_parsed_by_the_engine_from_the_tokens_it_sampled"),
        "local_model": (f"{LOCAL}/test_local_model.py", "test_tool_choice_overrules_the_model"),
    },
    "JSON schemas": {
        "openai_model": (CLIENT, "test_responses_parse_gives_an_instance_of_the_class"),
        "vllm_model": (RECORDED, "test_json_schema_as_recorded_is_kept"),
        "local_model": (f"{LOCAL}/test_text_and_template.py", "test_a_text_with_a_json_schema_fits_it_in_both_apis"),
    },
    "reasoning as items": {
        "vllm_model": (RECORDED, "test_reasoning_of_an_engine_with_a_parser_is_an_item_of_its_own"),
        "local_model": (
            f"{LOCAL}/test_text_and_template.py",
            "test_a_template_that_opens_a_think_block_makes_the_text_reasoning",
        ),
        "scripted_model": (
            f"{SCRIPTED}/test_answer_bodies.py",
            "test_response_has_reasoning_message_and_calls_in_order_with_ids_of_their_own",
        ),
    },
    "log-probabilities of the text": {
        "vllm_model": (VLLM_TOKENS, "test_log_probabilities_of_the_text_are_only_where_they_were_asked_for"),
        "local_model": (f"{LOCAL}/test_text_and_template.py", "test_log_probabilities_of_a_text_are_told_to_who_asks"),
    },
    "token data": {
        "openai_model": (OPENAI, "test_what_an_engine_adds_arrives_as_it_was_sent"),
        "vllm_model": (RECORDED, "test_conversation_as_recorded_gives_responses_whose_token_data_is_whole"),
        "local_model": (
            f"{LOCAL}/test_token_data.py",
            "test_data_of_a_call_has_one_log_probability_for_each_token_and_the_end_token",
        ),
        "scripted_model": (f"{SCRIPTED}/test_response_tokens.py", "test_ids_are_those_of_the_same_chat_completion"),
    },
    "prompts that continue exact tokens": {
        "vllm_model": (RECORDED, "test_prompts_as_recorded_begin_with_all_earlier_tokens"),
        "local_model": (
            f"{LOCAL}/test_token_data.py",
            "test_a_prompt_begins_with_earlier_tokens_that_their_text_would_not_give_again",
        ),
        "scripted_model": (
            f"{SCRIPTED}/test_response_tokens.py",
            "test_the_last_item_of_each_response_continues_all_ids_before_it",
        ),
    },
    "versions of the weights": {
        "vllm_model": (VLLM, "test_an_engine_whose_weights_are_swapped_is_waited_for"),
        "scripted_model": (f"{SCRIPTED}/test_control.py", "test_weights_being_updated_are_a_503_until_the_update_ends"),
    },
    "several endpoints": {
        "openai_model": (ENDPOINT, "test_several_endpoints_are_asked_in_turn"),
        "vllm_model": (VLLM, "test_calls_of_one_conversation_stay_at_one_endpoint_and_others_are_spread"),
    },
    "other endpoints while it runs": {
        "vllm_model": (VLLM, "test_endpoints_are_listed_and_replaced_while_the_server_runs"),
    },
    "an engine that restarts is waited for": {
        "vllm_model": (VLLM, "test_an_engine_that_was_reached_and_is_gone_is_waited_for_as_long_as_said"),
    },
    "refusals with their kind": {
        "openai_model": (OPENAI, "test_a_failure_of_the_endpoint_keeps_its_kind"),
        "azure_openai_model": (AZURE, "test_refusals_have_their_kind"),
        "vllm_model": (VLLM, "test_an_endpoint_that_does_not_fit_is_said_in_one_line"),
        "local_model": (
            f"{LOCAL}/test_local_model.py",
            "test_a_request_that_cannot_be_answered_is_a_400_that_names_its_kind",
        ),
        "scripted_model": (f"{SCRIPTED}/test_control.py", "test_bad_request_is_refused_in_words"),
    },
    "the official `openai` client": {
        "openai_model": (CLIENT, "test_responses_create_is_parsed"),
        "azure_openai_model": (AZURE, "test_the_official_client_parses_what_both_routes_answer"),
        "vllm_model": (CLIENT, "test_responses_create_is_parsed"),
        "local_model": (f"{LOCAL}/test_local_model.py", "test_the_official_client_parses_what_both_routes_answer"),
        "scripted_model": (CLIENT, "test_responses_create_is_parsed"),
    },
}


def table() -> dict[str, set[str]]:
    """The servers that have a yes, by ability."""
    page = (ROOT / "docs/model-servers.md").read_text()
    lines = re.findall(r"^\|.*\|$", page.split("## What they can do")[1].split("\n## ")[0], flags=re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    end = next(number for number, row in enumerate(rows) if row[0] == "engine")
    servers = [name.strip("`") for name in rows[0][1:]]
    return {row[0]: {name for name, cell in zip(servers, row[1:], strict=True) if cell == "yes"} for row in rows[2:end]}


def test_the_table_has_a_yes_where_a_test_is_named_and_nowhere_else() -> None:
    assert table() == {ability: set(by_server) for ability, by_server in TESTS.items()}


@pytest.mark.parametrize(
    ("path", "name"),
    sorted({test for by_server in TESTS.values() for test in by_server.values()}),
    ids=lambda part: part,
)
def test_the_named_test_exists(path: str, name: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
