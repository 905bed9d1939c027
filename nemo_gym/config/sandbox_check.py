"""Can this machine give the sandbox that the run requires?"""

from nemo_gym.config.errors import Mistake
from nemo_gym.config.keys import REQUIRE_SANDBOX_KEY_NAME
from nemo_gym.config.reading.interpolation import Finding
from nemo_gym.config.reading.merged import MergedConfig
from nemo_gym.config.schema import RunSettings


def check_sandbox(run: RunSettings, merged: MergedConfig) -> list[Finding]:
    """Return what is missing for `require_sandbox=strict`; tried with an empty program, which takes a moment."""
    if run.require_sandbox != "strict":
        return []
    # Imported here: most runs need no sandbox, and every command reads a configuration.
    from nemo_gym.sandbox.bubblewrap import INSTALL, why_no_namespaces

    reason = why_no_namespaces()
    if reason is None:
        return []
    path = (REQUIRE_SANDBOX_KEY_NAME,)
    what = f"model-written code is to run in namespaces (strict), but {reason}"
    fix = f"{INSTALL}, or +{REQUIRE_SANDBOX_KEY_NAME}=best_effort"
    return [Finding(Mistake(what, merged.where(*path), fix=fix), (path,))]
