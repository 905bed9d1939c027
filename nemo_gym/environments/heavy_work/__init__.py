"""Heavy work of verifiers and tools: functions in processes of their own, which are ended when they take too long.

For code that may compute for hours, or eat all memory, at the word of a policy: symbolic mathematics, regular
expressions of a task. It isn't a sandbox; code that a policy wrote belongs into `nemo_gym.sandbox`.
"""

from nemo_gym.environments.heavy_work.executor import HeavyWork
from nemo_gym.environments.heavy_work.outcome import WorkError, WorkLimitExceeded
from nemo_gym.environments.heavy_work.settings import HeavyWorkConfig

__all__ = ["HeavyWork", "HeavyWorkConfig", "WorkError", "WorkLimitExceeded"]
