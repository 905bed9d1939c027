"""Print what a resources server offers, without serving: its OpenAPI page and its tools, as one line of JSON.

usage: python -m nemo_gym.launch.processes.describe NAME SCRIPT < configuration
The configuration, as YAML, comes on standard input, since it may hold keys that no variable should.
"""

import json
import os
import sys
from pathlib import Path

from nemo_gym.config.env_names import NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME
from nemo_gym.launch.processes.component_module import served_class
from nemo_gym.servers.serving.tool_listing import has_unlisted_tools, list_tools


def main() -> None:
    """Build the server of the instance and print."""
    name, script = sys.argv[1:]
    os.environ[NEMO_GYM_CONFIG_DICT_ENV_VAR_NAME] = sys.stdin.read()
    result, sys.stdout = sys.stdout, sys.stderr  # the component's code may print what it likes
    app = served_class(Path(script)).from_configuration(name).setup_webserver()
    page = {"openapi": app.openapi(), "tools": list_tools(app), "has_more_tools": has_unlisted_tools(app)}
    result.write(json.dumps(page) + "\n")
    result.flush()
    os._exit(0)  # threads that the component started needn't be waited for


if __name__ == "__main__":
    main()
