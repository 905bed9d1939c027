"""Run the tests of every component."""

from pydantic import BaseModel, Field

from nemo_gym.commands.entry import DONE, INCOMPLETE, read_options, require_known, run_command
from nemo_gym.commands.environments.test import components, test_component
from nemo_gym.config.reading.command_line import CommandLine


class TestAllOptions(BaseModel):
    """Parameters of ng_test_all."""

    __test__ = False  # for pytest: this isn't a test class

    should_validate_data: bool = Field(default=False, description="Also check the data of resources servers.")


def main() -> None:
    """Entry point of ng_test_all."""
    run_command("ng_test_all", __doc__ or "", TestAllOptions, test_all)


def test_all(command_line: CommandLine) -> int:
    """Test every component; print which passed; return the exit status."""
    require_known(TestAllOptions, command_line)
    validate = read_options(TestAllOptions, command_line.overrides).should_validate_data
    failed = []
    for folder in components():
        name = f"{folder.parent.name}/{folder.name}"
        print(f"\n{name}", flush=True)
        if test_component(folder, validate_data=validate and folder.parent.name == "resources_servers") != DONE:
            failed.append(name)
    total = len(components())
    print(f"\n{total - len(failed)} of {total} components passed" + "".join(f"\n  failed: {name}" for name in failed))
    return INCOMPLETE if failed else DONE
