"""Endpoints of a model, asked in the words of both APIs whichever of them they speak."""

from nemo_gym.models.endpoints.chat import ChatEndpoint
from nemo_gym.models.endpoints.choice import ApiChoice, AutoEndpoint, ModelEndpoint, endpoint_for
from nemo_gym.models.endpoints.responses import ResponsesEndpoint
from nemo_gym.models.endpoints.server import EndpointModel
from nemo_gym.models.endpoints.token_source import Earlier, TokenSource

__all__ = [
    "ApiChoice",
    "AutoEndpoint",
    "ChatEndpoint",
    "Earlier",
    "EndpointModel",
    "ModelEndpoint",
    "ResponsesEndpoint",
    "TokenSource",
    "endpoint_for",
]
