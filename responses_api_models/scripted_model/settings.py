"""Everything about the scripted model that can be configured."""

from pydantic import BaseModel, Field, SecretStr

from responses_api_models.scripted_model.answer import Answer
from responses_api_models.scripted_model.fault import Fault
from responses_api_models.scripted_model.latency import Latency
from responses_api_models.scripted_model.script import Rule


class ScriptedSettings(BaseModel):
    """What the scripted model answers, how fast, and what goes wrong on purpose."""

    model_name: str = Field(default="scripted-model", description="Name reported when the request names no model.")
    rules: list[Rule] = Field(default_factory=list, description="Answers by condition; the first that holds wins.")
    default_answer: Answer = Field(default=Answer(message="Done."), description="Answer when no rule holds.")
    latency_s: Latency = Field(default=0.0, description="Seconds or [min, max] before each answer.")
    faults: list[Fault] = Field(default_factory=list, description="Faults on demand; the first that strikes wins.")
    seed: int = Field(default=0, description="Seed of the draws for rates and latencies.")
    api_key: SecretStr | None = Field(
        default=None, description="Key wanted by /v1 routes as `Authorization: Bearer`; absent: none is wanted."
    )
    keep_requests: int = Field(
        default=100, ge=0, le=100_000, description="Request bodies kept for GET /script/requests."
    )
    keep_request_bytes: int = Field(default=64_000_000, ge=0, description="Bytes of kept request bodies, all together.")
