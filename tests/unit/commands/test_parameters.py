"""Help of a command: names, types in words, and 80 columns."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from nemo_gym.commands.parameters import WIDTH, parameters, print_help, table, type_in_words
from nemo_gym.config.schema import RunSettings


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    port: int | None = None


class Options(BaseModel):
    a_name_that_fills_most_of_a_line_and_is_not_cut: bool = False
    head_server: Inner = Field(default=Inner(), description="Which run is meant. " * 8)
    timeout_s: float = Field(default=1.0, description="Longest wait.")
    needed: Path = Field(description="A file.")


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (int, "integer"),
        (float, "number"),
        (str, "text"),
        (bool, "true/false"),
        (Path, "path"),
        (int | None, "integer"),
        (list[str], "list of text"),
        (dict[str, Any], "mapping"),
        (Literal["a", "b"], "one of a, b"),
        (Colour, "one of red, blue"),
        (Annotated[int, Field(ge=1)] | Literal["auto"] | None, 'integer or "auto"'),
        (str | list[str], "text or list of text"),
    ],
)
def test_type_in_words_reads_as_a_person_says_it(annotation: Any, words: str) -> None:
    assert type_in_words(annotation) == words


def test_parameters_of_a_nested_model_have_dotted_names_and_its_meaning() -> None:
    rows = {row.name: row for row in parameters(Options)}
    assert rows["head_server.port"].meaning.startswith("Which run is meant.")
    assert (rows["timeout_s"].default, rows["needed"].default) == ("1", "required")


def test_parameters_of_the_run_show_the_defaults_of_the_head() -> None:
    rows = {row.name: row.default for row in parameters(RunSettings)}
    assert (rows["head_server.host"], rows["head_server.port"]) == ("127.0.0.1", "11000")


def test_table_fits_80_columns_and_cuts_no_name() -> None:
    lines = table(parameters(Options))
    assert all(len(line) <= WIDTH for line in lines)
    assert any(line.startswith("a_name_that_fills_most_of_a_line_and_is_not_cut  true/false") for line in lines)
    assert " ".join(line.strip() for line in lines).count("Which run is meant.") == 8


def test_help_names_the_settings_that_the_command_reads(capsys: pytest.CaptureFixture[str]) -> None:
    print_help("ng_run", "Start servers.", Options)
    assert {"auth", "default_host", "policy_base_url"} <= {line.split()[0] for line in _lines(capsys)}
    print_help("ng_collect_rollouts", "Collect.", RunSettings)
    print_help("nemo_gym_reverify", "Verify.", Inner)
    assert "head_server.port" in {line.split()[0] for line in _lines(capsys)}
    print_help("ng_version", "Versions.", Inner)
    assert not {"auth", "head_server.port"} & {line.split()[0] for line in _lines(capsys)}


def test_help_shows_required_parameters_first(capsys: pytest.CaptureFixture[str]) -> None:
    print_help("ng_version", "Versions.", Options)
    lines = _lines(capsys)
    assert lines[lines.index(next(line for line in lines if line.startswith("parameter"))) + 1].startswith("needed")


def _lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if line]
