"""The converter between the Responses API and the Chat Completions API, in both directions.

It works on plain JSON data, as decoded: nothing is validated into classes, nothing given is changed, and parts that
both APIs write the same way are carried by reference. `docs/converter.md` says what maps to what.
"""

from nemo_gym.models.chat.completion import to_completion
from nemo_gym.models.chat.errors import ModelOutputError, RequestConversionError
from nemo_gym.models.chat.options import ChatOptions
from nemo_gym.models.chat.request import ChatRequest, to_chat_request
from nemo_gym.models.chat.response import to_response
from nemo_gym.models.chat.responses_request import to_responses_request
from nemo_gym.models.chat.think import ThinkSplit, split_thoughts
from nemo_gym.models.chat.token_data import CallTokenData, MessageTokenData, attach_token_data

__all__ = [
    "CallTokenData",
    "ChatOptions",
    "ChatRequest",
    "MessageTokenData",
    "ModelOutputError",
    "RequestConversionError",
    "ThinkSplit",
    "attach_token_data",
    "split_thoughts",
    "to_chat_request",
    "to_completion",
    "to_response",
    "to_responses_request",
]
