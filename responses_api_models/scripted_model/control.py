"""What is in force while the endpoint runs, and the routes `/script/...` by which tests look at it and change it."""

import time
from collections.abc import Callable
from typing import Literal, TypeVar
from urllib.parse import parse_qs

import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from nemo_gym.wire.json_object import JsonObject
from responses_api_models.scripted_model.asgi import (
    HangUpError,
    Receive,
    RequestError,
    Scope,
    Send,
    read_body,
    reasons,
    send_body,
)
from responses_api_models.scripted_model.conversation import Conversation
from responses_api_models.scripted_model.faults import FAULTS, Fault, pick_fault
from responses_api_models.scripted_model.record import Record
from responses_api_models.scripted_model.script import Seconds
from responses_api_models.scripted_model.settings import ScriptedSettings

CONTROL_PREFIX = "/script/"
Query = dict[str, list[str]]
Sent = TypeVar("Sent")

_FOR_FAULT, _FOR_LATENCY = 1, 2
_MASK = 0xFFFF_FFFF_FFFF_FFFF
_GOLDEN = 0x9E37_79B9_7F4A_7C15


class WeightUpdate(BaseModel):
    """An update of the policy's weights, as an inference engine undergoes it during training."""

    model_config = ConfigDict(extra="forbid")

    version: int | None = Field(default=None, ge=0, description="Version afterwards; absent: the next one, from 1.")
    for_s: Seconds | None = Field(default=0.0, description="Seconds the update takes; null: until the next update.")
    meanwhile: Literal["refuse", "hang_up"] = Field(
        default="refuse", description="Answer 503 meanwhile, or close the connection."
    )


_WEIGHT_UPDATE = TypeAdapter(WeightUpdate)


class EndpointState:
    """State of one endpoint in one process; every worker process has its own."""

    def __init__(self, settings: ScriptedSettings) -> None:
        self.settings = settings
        self.record = Record(settings.keep_requests, settings.keep_request_bytes)
        self.reset()

    def reset(self) -> None:
        """Back to how it started: counts from 0, the configured faults and weights."""
        self.record.reset()
        self.faults: list[Fault] = self.settings.faults
        self.weight_version = self.settings.weight_version
        self._update, self._update_ends = WeightUpdate(), 0.0

    def fault_for(self, conversation: Conversation, request_number: int) -> Fault | None:
        """Return the fault that strikes this request, counted, or None."""
        if not self.faults:
            return None
        chance = _draw(self.settings.seed, request_number, _FOR_FAULT)
        fault = pick_fault(self.faults, conversation, request_number=request_number, chance=chance)
        if fault is not None:
            self.record.note_fault(fault.kind)
        return fault

    def latency_chance(self, request_number: int) -> float:
        """Return the request's draw for its latency, in [0, 1)."""
        return _draw(self.settings.seed, request_number, _FOR_LATENCY)

    def update_weights(self, update: WeightUpdate) -> None:
        """Begin an update; it replaces one that is under way."""
        self.weight_version = (self.weight_version or 0) + 1 if update.version is None else update.version
        seconds = float("inf") if update.for_s is None else update.for_s
        self._update, self._update_ends = update, time.monotonic() + seconds

    def check_weights(self) -> None:
        """Return when the weights are ready.

        Raises:
            RequestError: They are being updated; 503.
            HangUpError: They are being updated, and the connection is to be closed.
        """
        if not self._is_updating():
            return
        self.record.note_fault("weights_updating")
        if self._update.meanwhile == "hang_up":
            raise HangUpError
        raise RequestError("The model's weights are being updated.", status=503, code="weights_updating")

    def weights(self) -> JsonObject:
        """Return the version, and whether an update is under way."""
        return {"weight_version": self.weight_version, "updating": self._is_updating()}

    def _is_updating(self) -> bool:
        return time.monotonic() < self._update_ends


async def serve_control(state: EndpointState, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one control request; the README lists the routes.

    Raises:
        RequestError: No such route, `last` isn't a number, or what was sent is not valid.
    """
    route = f"{scope['method']} {scope['path']}"
    if route not in _ROUTES:
        raise RequestError(f"No control route {route!r}.", status=404)
    body, query = await read_body(receive), parse_qs(scope["query_string"].decode("latin-1"))
    await send_body(send, orjson.dumps(_ROUTES[route](state, query, body)))


def _stats(state: EndpointState, query: Query, body: bytes) -> JsonObject:
    return state.record.stats()


def _reset(state: EndpointState, query: Query, body: bytes) -> JsonObject:
    state.reset()
    return state.record.stats()


def _last_requests(state: EndpointState, query: Query, body: bytes) -> JsonObject:
    given = query.get("last", [str(state.settings.keep_requests)])[0]
    if not given.isdecimal():
        raise RequestError(f"'last' must be a number of requests, not {given!r}.", param="last")
    return {"requests": [request.as_json() for request in state.record.last_requests(int(given))]}


def _set_faults(state: EndpointState, query: Query, body: bytes) -> JsonObject:
    state.faults = _valid(FAULTS, body, "faults")
    return {"faults": FAULTS.dump_python(state.faults, mode="json", exclude_unset=True)}


def _weights(state: EndpointState, query: Query, body: bytes) -> JsonObject:
    return state.weights()


def _update_weights(state: EndpointState, query: Query, body: bytes) -> JsonObject:
    state.update_weights(_valid(_WEIGHT_UPDATE, body or b"{}", "weights"))
    return state.weights()


def _valid(kind: TypeAdapter[Sent], body: bytes, param: str) -> Sent:
    try:
        return kind.validate_json(body)
    except ValidationError as error:
        raise RequestError(f"{param}: {reasons(error)}", status=422, param=param) from error


_ROUTES: dict[str, Callable[[EndpointState, Query, bytes], JsonObject]] = {
    "GET /script/stats": _stats,
    "POST /script/reset": _reset,
    "GET /script/requests": _last_requests,
    "PUT /script/faults": _set_faults,
    "GET /script/weights": _weights,
    "POST /script/weights": _update_weights,
}


def _draw(seed: int, request_number: int, purpose: int) -> float:
    """Draw a number in [0, 1) that depends on nothing but its arguments, so that a run can be repeated.

    Source: SplitMix64 finaliser (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    """
    # Mixed one after the other: added up, seed 1 would play seed 0's sequence one request early.
    state = _mix(_mix(_mix(seed & _MASK) + request_number) + purpose)
    return (state >> 11) / (1 << 53)


def _mix(value: int) -> int:
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58_476D_1CE4_E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D0_49BB_1331_11EB) & _MASK
    return value ^ (value >> 31)
