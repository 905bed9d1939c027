"""Mistakes in a command's options: what is wrong, and what to write instead."""

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, model_validator

from nemo_gym.commands.entry import read_options, require_known
from nemo_gym.config.errors import ConfigError
from nemo_gym.config.reading.command_line import CommandLine


class Options(BaseModel):
    input_jsonl_fpath: str = Field(description="Task file.")
    mode: Literal["fast", "thorough"] = Field(default="fast", description="How.")
    limit: int = Field(default=1, description="At most so many.")
    most: int = 9

    @model_validator(mode="after")
    def _check(self) -> "Options":
        if self.limit > self.most:
            raise ValueError("limit is larger than most")
        return self


@pytest.mark.parametrize(
    ("values", "lines"),
    [
        pytest.param({}, ["input_jsonl_fpath is missing", "+input_jsonl_fpath=...  (Task file.)"], id="missing"),
        pytest.param(
            {"input": "a"},
            ["input_jsonl_fpath is missing", "write input_jsonl_fpath= instead of input="],
            id="shortened",
        ),
        pytest.param(
            {"input_jsonl_fpath": "a", "mode": "fst"},
            ["mode can't be 'fst'", "known: fast, thorough", "fix:   did you mean 'fast'?"],
            id="no-such-choice",
        ),
        pytest.param({"input_jsonl_fpath": "a", "mode": "x"}, ["choose one of these  (How.)"], id="no-near-choice"),
        pytest.param(
            {"input_jsonl_fpath": "a", "limit": "two"},
            ["(got 'two')", "+limit=...  (At most so many.)"],
            id="no-number",
        ),
    ],
)
def test_a_mistake_in_an_option_says_how_to_correct_it(values: dict[str, Any], lines: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        read_options(Options, values)
    for line in lines:
        assert line in str(caught.value)


def test_a_rule_about_several_options_is_told_without_their_values() -> None:
    with pytest.raises(ConfigError) as caught:
        read_options(Options, {"input_jsonl_fpath": "sk-canary", "limit": 10})
    assert str(caught.value) == "config error: limit is larger than most\n  where: command line"


def test_a_file_where_an_option_is_expected_is_refused() -> None:
    line = CommandLine(config_paths=("mine.yaml",))
    with pytest.raises(ConfigError, match=r"argument 'mine\.yaml' isn't key=value") as caught:
        require_known(Options, line)
    assert "write input_jsonl_fpath=mine.yaml" in str(caught.value)
    require_known(Options, line, reads_files=True)
