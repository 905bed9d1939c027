"""Token data from vLLM: what it was given and what it sampled, call after call of one rollout.

Started with `--enable-scale-out`, the engine renders a prompt, generates from token ids, and parses what it generated
in three separate calls, so that a prompt can begin with exactly the tokens of the calls before it. Otherwise its chat
route is asked, which renders all messages anew and says what came of it.

Source of the routes: the OpenAPI page of vLLM 0.32, `/v1/chat/completions/render`, `/inference/v1/generate`,
`/v1/chat/completions/derender`.
"""

import asyncio
import logging
from typing import Any

from msgspec import Raw

from nemo_gym.models.chat import CallTokenData
from nemo_gym.models.endpoints import Earlier
from nemo_gym.openai_utils import NeMoGymAsyncOpenAI
from nemo_gym.server_utils import RolloutError, rollout_error
from nemo_gym.servers.http.model_endpoints.client import NoSuchRouteError
from nemo_gym.wire.json_object import JsonObject
from responses_api_models.vllm_model.token_data import chat_token_data, checked_token_data, log_probs_of

_CHAT = "/chat/completions"
_GENERATE = "/inference/v1/generate"
# Any two short texts will do: where the prompts differ is where an answer stands.
_PLACEHOLDERS = ("x", "y")
_log = logging.getLogger("nemo_gym.model")

Body = JsonObject


class VLLMTokens:
    """A token source for vLLM.

    Args:
        client: Client of the endpoints.
        name: The model server, for errors.
    """

    def __init__(self, client: NeMoGymAsyncOpenAI, name: str) -> None:
        self._client = client
        self._name = name
        self._has_token_routes = True  # until it says otherwise

    async def complete(self, body: Body, earlier: Earlier | None, rollout: str) -> tuple[Body, CallTokenData]:
        """Return the completion and the tokens of the call; see `TokenSource`."""
        if self._has_token_routes:
            try:
                return await self._by_tokens(body, earlier, rollout)
            except RolloutError as error:
                if not _is_disabled(error):
                    raise
                self._has_token_routes = False
                _log.warning("%s: %s", self._name, _WITHOUT_ROUTES)
        return await self._by_chat(body, rollout)

    async def _by_chat(self, body: Body, rollout: str) -> tuple[Body, CallTokenData]:
        asked = {**body, "logprobs": True, "return_token_ids": True}
        completion = await self._post(_CHAT, asked, rollout)
        if _finish_reason(completion) == "abort":
            return completion, CallTokenData([], [])
        data = chat_token_data(self._name, completion)
        if not body.get("logprobs"):
            completion["choices"][0]["logprobs"] = None
        return completion, data

    async def _by_tokens(self, body: Body, earlier: Earlier | None, rollout: str) -> tuple[Body, CallTokenData]:
        rendered, prompt = await self._prompt(body, earlier, rollout)
        sampling = {**rendered["sampling_params"], "logprobs": body.get("top_logprobs") or 0}
        asked = {key: value for key, value in rendered.items() if value is not None}
        asked |= {"model": body["model"], "token_ids": prompt, "sampling_params": sampling}
        generated = await self._post(_GENERATE, asked, rollout, at_root=True)
        choice = self._only_choice(generated)
        if choice.get("finish_reason") == "abort":
            return generated, CallTokenData([], [])
        data = checked_token_data(
            self._name,
            prompt=prompt,
            generated=choice.get("token_ids"),
            log_probs=log_probs_of(choice),
            weight_versions=choice.get("weight_versions"),
        )
        if not body.get("logprobs"):
            choice["logprobs"] = None
        parse = {"model": body["model"], "generate_response": _without_end(generated, choice), "chat_request": body}
        completion = await self._post(f"{_CHAT}/derender", parse, rollout)
        _cut_at_stop_text(completion, choice.get("stop_reason"))
        return completion | {"usage": generated.get("usage")}, data

    async def _prompt(self, body: Body, earlier: Earlier | None, rollout: str) -> tuple[Body, Any]:
        """Return what the engine makes of the request, and the ids of the prompt."""
        if earlier is None:
            rendered = await self._post(f"{_CHAT}/render", body, rollout)
            return rendered, rendered["token_ids"]
        first, second = await asyncio.gather(
            *(self._post(f"{_CHAT}/render", _with_answer(body, earlier, text), rollout) for text in _PLACEHOLDERS)
        )
        after = _after_answer(first["token_ids"], second["token_ids"])
        if after is None:
            reason = (
                f"{self._name}: the chat template leaves earlier answers out, so no prompt can begin with all earlier "
                "tokens; use a template that keeps them, or return_token_id_information: false"
            )
            raise rollout_error("token_data_invalid", reason, server=self._name)
        if earlier.ids.rpartition(b",")[2].strip() == b"%d" % after[0]:
            after = after[1:]  # the model ended its answer itself; one that was cut off is ended here
        prompt = Raw(b"[" + b",".join([earlier.ids, *(b"%d" % token for token in after)]) + b"]")
        self._limit_tokens(first, body, len(first["token_ids"]), earlier.count + len(after))
        return first, prompt

    def _limit_tokens(self, rendered: Body, body: Body, num_rendered: int, num_prompt: int) -> None:
        """Without a limit of the request's own, what is left of the context is that of the true prompt."""
        if body.get("max_tokens") is not None or body.get("max_completion_tokens") is not None:
            return
        sampling = rendered["sampling_params"]
        left = sampling.get("max_tokens")
        if left is None:
            return
        left -= num_prompt - num_rendered
        if left < 1:
            reason = f"{self._name}: the prompt of {num_prompt} tokens fills the model's context"
            raise rollout_error("context_length_exceeded", reason, server=self._name)
        sampling["max_tokens"] = left

    async def _post(self, path: str, body: Body, rollout: str, *, at_root: bool = False) -> Body:
        return self._client.decoded(await self._client.send(path, body, rollout=rollout, at_root=at_root))

    def _only_choice(self, generated: Body) -> Body:
        choices = generated.get("choices")
        if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
            reason = f"{self._name}: {_GENERATE} should answer with one choice"
            raise rollout_error("model_bad_output", reason, server=self._name, status=200)
        return choices[0]


def _without_end(generated: Body, choice: Body) -> Body:
    """Return what is to be parsed: without the token that ended the answer, which would be written into its text."""
    if choice.get("finish_reason") != "stop" or isinstance(choice.get("stop_reason"), str):
        return generated
    kept = {**choice, "token_ids": choice["token_ids"][:-1]}
    if isinstance(logprobs := choice.get("logprobs"), dict):
        kept["logprobs"] = {**logprobs, "content": logprobs["content"][:-1]}
    return {**generated, "choices": [kept]}


def _cut_at_stop_text(completion: Body, stop: Any) -> None:
    """Chat leaves out the `stop` text that ended an answer, while the tokens go up to its end."""
    for choice in completion.get("choices") or []:
        content = choice.get("message", {}).get("content")
        if isinstance(stop, str) and isinstance(content, str) and stop in content:
            choice["message"]["content"] = content.rpartition(stop)[0]


_WITHOUT_ROUTES = (
    "the engine takes no token ids (start vLLM with --enable-scale-out), so each prompt is rendered anew from its "
    "messages; where that changes earlier tokens, +check_token_ids masks the rollout"
)


def _is_disabled(error: RolloutError) -> bool:
    return isinstance(error, NoSuchRouteError) or "enable-scale-out" in error.failure.reason


def _finish_reason(completion: Body) -> Any:
    choices = completion.get("choices")
    return choices[0].get("finish_reason") if isinstance(choices, list) and choices else None


def _with_answer(body: Body, earlier: Earlier, text: str) -> Body:
    messages = list(body["messages"])
    messages[earlier.message_index] = {"role": "assistant", "content": text}
    return {**body, "messages": messages}


def _after_answer(one: list[int], other: list[int]) -> list[int] | None:
    """Return the ids behind the last place where two prompts differ; None when they don't, or nothing follows."""
    shared = 0
    while shared < min(len(one), len(other)) and one[-1 - shared] == other[-1 - shared]:
        shared += 1
    return one[-shared:] if 0 < shared < len(one) else None
