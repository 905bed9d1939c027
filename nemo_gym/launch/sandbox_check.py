"""Can this machine give the sandbox that the run requires?"""

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.config.keys import REQUIRE_SANDBOX_KEY_NAME
from nemo_gym.config.load import RunConfig


def check_sandbox(config: RunConfig) -> None:
    """Raise ConfigError where `require_sandbox=strict` can't be met.

    It is tried with an empty program, which takes a moment.
    """
    if config.require_sandbox != "strict":
        return
    # Imported here: most runs need no sandbox.
    from nemo_gym.sandbox.bubblewrap import INSTALL, why_no_namespaces

    reason = why_no_namespaces()
    if reason is not None:
        what = f"require_sandbox is strict (model-written code runs in namespaces), but {reason}"
        fix = f"{INSTALL}, or +{REQUIRE_SANDBOX_KEY_NAME}=best_effort"
        raise ConfigError(Mistake(what, config.where(REQUIRE_SANDBOX_KEY_NAME), fix=fix))
