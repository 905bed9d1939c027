"""An endpoint that speaks the Responses API."""

from pydantic import ValidationError

from nemo_gym.models.chat import ChatOptions, to_completion, to_responses_request
from nemo_gym.servers.http.model_endpoints.client import NeMoGymAsyncOpenAI
from nemo_gym.wire.failure import RolloutError, rollout_error
from nemo_gym.wire.http_errors import unfinished_response
from nemo_gym.wire.json_object import JsonObject
from nemo_gym.wire.raw_json import encode
from nemo_gym.wire.raw_responses import RawParams, RawResponse
from nemo_gym.wire.token_arrays import TokenArrayError


class ResponsesEndpoint:
    """Asks in the Responses API; a chat request is converted.

    Args:
        client: Client of the endpoint.
        name: The server that asks, for errors.
        model: Replaces what a request names.
        extra_body: Fields added to each request that it doesn't have itself.
    """

    def __init__(
        self, client: NeMoGymAsyncOpenAI, *, name: str, model: str, extra_body: JsonObject | None = None
    ) -> None:
        self._client = client
        self._name = name
        self._model = model
        self._extra_body = extra_body or {}

    async def respond(self, params: RawParams) -> RawResponse:
        """Return the endpoint's Response, checked; neither text is written anew.

        Raises:
            RolloutError: Of a `model_*`, transport or token-data kind.
        """
        missing = {key: value for key, value in self._extra_body.items() if key not in params.json_fields}
        answer = await self._client.create_raw_response(params.json_with(model=self._model, **missing))
        try:
            response = RawResponse.json_checked(answer)
            head = response.json_head
        except TokenArrayError as error:
            raise rollout_error("token_data_invalid", str(error), server=self._name) from error
        except ValueError as error:
            raise bad_output(self._name, "Response", error) from error
        unfinished = unfinished_response(head.status, head.error)
        if unfinished is not None:
            raise rollout_error(unfinished[0], f"{self._name}: {unfinished[1]}", server=self._name)
        return response

    async def complete(self, body: JsonObject) -> JsonObject:
        """Return what the endpoint's Response says, as a chat completion. Raises as `respond` does."""
        params = to_responses_request(body)
        response = await self.respond(RawParams(encode(params)))
        return to_completion(response.json_parsed.model_dump(exclude_unset=True), ChatOptions())


def bad_output(server: str, shape: str, error: ValueError) -> RolloutError:
    """Return the failure for an answer that isn't of the shape its API promises."""
    what = str(error)
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    reason = f"the endpoint of {server} answered something that isn't a {shape}: {what}"
    return rollout_error("model_bad_output", reason, server=server, status=200)
