"""What changes while the endpoint runs: the record of requests and the faults in force."""

from responses_api_models.scripted_model.chance import draw
from responses_api_models.scripted_model.conversation import Conversation
from responses_api_models.scripted_model.fault import Fault, pick_fault
from responses_api_models.scripted_model.record import Record
from responses_api_models.scripted_model.settings import ScriptedSettings

_FOR_FAULT, _FOR_LATENCY = 1, 2


class EndpointState:
    """State of one endpoint in one process; every worker process has its own."""

    def __init__(self, settings: ScriptedSettings) -> None:
        self.settings = settings
        self.record = Record(settings.keep_requests, settings.keep_request_bytes)
        self.faults: list[Fault] = settings.faults

    def reset(self) -> None:
        """Back to how it started: counts from 0, the configured faults."""
        self.record.reset()
        self.faults = self.settings.faults

    def fault_for(self, conversation: Conversation, request_number: int) -> Fault | None:
        """Return the fault that strikes this request, counted, or None."""
        if not self.faults:
            return None
        chance = draw(self.settings.seed, request_number, _FOR_FAULT)
        fault = pick_fault(self.faults, conversation, request_number=request_number, chance=chance)
        if fault is not None:
            self.record.note_fault(fault.kind)
        return fault

    def latency_chance(self, request_number: int) -> float:
        """Return the request's draw for its latency, in [0, 1)."""
        return draw(self.settings.seed, request_number, _FOR_LATENCY)
