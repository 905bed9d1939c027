"""Everything about the simple agent that can be configured."""

from typing import Literal

from pydantic import Field

from nemo_gym.base_responses_api_agent import BaseResponsesAPIAgentConfig
from nemo_gym.config_types import ModelServerRef, ResourcesServerRef


class SimpleAgentConfig(BaseResponsesAPIAgentConfig):
    resources_server: ResourcesServerRef
    model_server: ModelServerRef
    max_steps: int | None = Field(default=None, ge=1, description="Model calls per rollout; None: no limit.")
    max_turns: int | None = Field(
        default=50, ge=1, description="User messages per rollout, the task's own as one; None: no limit."
    )
    max_total_tokens: int | None = Field(
        default=None,
        ge=1,
        description="A conversation of so many tokens, prompt and answers, gets no further model call; None: no limit.",
    )
    tools_from_resources_server: bool = Field(
        default=False, description="A row that declares no tools gets the environment's own."
    )
    seed_timeout_s: float = Field(default=300.0, gt=0, description="Longest wait for a session, in seconds.")
    tool_timeout_s: float = Field(default=300.0, gt=0, description="Longest wait for a tool's answer, in seconds.")
    turn_timeout_s: float = Field(
        default=600.0, gt=0, description="Longest wait for the user's next message, in seconds."
    )
    verify_timeout_s: float = Field(default=600.0, gt=0, description="Longest wait for the verdict, in seconds.")
    max_tool_result_chars: int = Field(default=200_000, ge=1, description="Longer tool results are cut.")
    on_context_overflow: Literal["stop", "fail"] = Field(
        default="stop", description="stop: verify what there is. fail: the rollout is a failure."
    )
    on_content_filter: Literal["mask", "score", "fail"] = Field(
        default="mask",
        description="The endpoint's content filter cut an answer off: the rollout is verified and masked (mask), "
        "scored all the same (score), or a failure (fail).",
    )
    on_tool_failure: Literal["mask", "tell", "fail"] = Field(
        default="mask",
        description="A tool that raises or hangs: the policy reads so in general words, and the rollout is masked "
        "(mask), or scored all the same (tell); or the rollout is a failure (fail).",
    )
