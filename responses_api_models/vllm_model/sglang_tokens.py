"""Token data from SGLang's native routes: `/generate` takes token ids and says which it sampled.

SGLang renders no messages for others, so the chat template is rendered here; its own parser finds the tool calls.

Source: SGLang documentation, native API: `/generate` (`input_ids`, `sampling_params`, `return_logprob`; the answer's
`output_ids` and `meta_info`), `/tokenize`, `/parse_function_call`. Written after this format; not run against SGLang.
"""

import json
from typing import Any

from msgspec import Raw

from nemo_gym.models.chat import CallTokenData
from nemo_gym.models.endpoints import Earlier
from nemo_gym.openai_utils import NeMoGymAsyncOpenAI
from nemo_gym.server_utils import rollout_error
from nemo_gym.wire.json_object import JsonObject
from responses_api_models.vllm_model.chat_template import ChatTemplate
from responses_api_models.vllm_model.token_data import checked_token_data, invalid, one_version

Body = JsonObject
_SAME_NAMES = (
    *("temperature", "top_p", "top_k", "min_p", "stop", "stop_token_ids", "ignore_eos", "min_new_tokens"),
    *("frequency_penalty", "presence_penalty", "repetition_penalty", "logit_bias", "regex", "ebnf"),
)
_HANDLED = frozenset(
    {
        *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "max_tokens", "max_completion_tokens"),
        *("response_format", "chat_template_kwargs", "metadata", "user"),
    }
)


class SGLangTokens:
    """A token source for SGLang.

    Args:
        client: Client of the endpoints.
        name: The model server, for errors.
        template: The model's chat template.
        tool_call_parser: SGLang's name of the parser for the model's tool calls; None: its answers are text.
    """

    def __init__(
        self, client: NeMoGymAsyncOpenAI, name: str, template: ChatTemplate, tool_call_parser: str | None
    ) -> None:
        self._client = client
        self._name = name
        self._template = template
        self._tool_call_parser = tool_call_parser

    async def complete(self, body: Body, earlier: Earlier | None, rollout: str) -> tuple[Body, CallTokenData]:
        """Return the completion and the tokens of the call; see `TokenSource`."""
        sampling = self._sampling(body)
        prompt = await self._prompt(body, earlier, rollout)
        asked = {"input_ids": prompt, "sampling_params": sampling, "return_logprob": True}
        generated = await self._post("/generate", asked, rollout)
        meta = generated.get("meta_info")
        if not isinstance(meta, dict):
            raise rollout_error("model_bad_output", f"{self._name}: /generate gave no meta_info", server=self._name)
        reason = (meta.get("finish_reason") or {}).get("type")
        if reason == "abort":
            return {"choices": [{"finish_reason": "abort"}]}, CallTokenData([], [])
        data = self._token_data(prompt, generated, meta)
        message = await self._message(str(generated.get("text") or ""), body, rollout)
        return _completion(body, message, reason, meta), data

    async def _prompt(self, body: Body, earlier: Earlier | None, rollout: str) -> Any:
        if earlier is None:
            return await self._ids(self._template.render(body), rollout)
        after = await self._ids(self._template.after_answer(body, earlier.message_index), rollout)
        if after and earlier.ids.rpartition(b",")[2].strip() == b"%d" % after[0]:
            after = after[1:]  # the model ended its answer itself; one that was cut off is ended here
        return Raw(b"[" + b",".join([earlier.ids, *(b"%d" % token for token in after)]) + b"]")

    async def _ids(self, text: str, rollout: str) -> list[int]:
        # The template writes special tokens itself.
        answer = await self._post("/tokenize", {"prompt": text, "add_special_tokens": False}, rollout)
        ids = answer.get("tokens")
        if not isinstance(ids, list):
            raise invalid(self._name, "/tokenize gave no list of tokens")
        return ids

    def _token_data(self, prompt: Any, generated: Body, meta: Body) -> CallTokenData:
        sampled = meta.get("output_token_logprobs")
        triples = (
            sampled if isinstance(sampled, list) and all(isinstance(one, list) and one for one in sampled) else None
        )
        ids = generated.get("output_ids")
        if triples is not None and [one[1] for one in triples] != ids:
            raise invalid(self._name, "output_ids and output_token_logprobs name different tokens")
        return checked_token_data(
            self._name,
            prompt=prompt,
            generated=ids,
            log_probs=None if triples is None else [one[0] for one in triples],
            weight_versions=one_version(meta.get("weight_version"), ids),
        )

    def _sampling(self, body: Body) -> Body:
        """Return SGLang's sampling parameters; what it would silently do otherwise is refused."""
        if unknown := sorted(key for key in body.keys() - _HANDLED - {*_SAME_NAMES} if body[key] is not None):
            raise self._refused(f"/generate has nothing like {', '.join(unknown)}")
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        if limit is None:
            raise self._refused("set max_output_tokens: /generate stops after 128 tokens by default")
        if body.get("tool_choice") not in (None, "auto", "none"):
            raise self._refused("/generate can't force a tool call; leave tool_choice out")
        sampling = {name: body[name] for name in _SAME_NAMES if body.get(name) is not None}
        sampling["max_new_tokens"] = limit
        wanted = body.get("response_format") or {}
        if wanted.get("type") == "json_schema":
            sampling["json_schema"] = json.dumps(wanted["json_schema"]["schema"])
        elif wanted.get("type") == "json_object":
            sampling["json_schema"] = '{"type": "object"}'
        return sampling

    async def _message(self, text: str, body: Body, rollout: str) -> Body:
        tools = body.get("tools")
        if not tools or self._tool_call_parser is None:
            return {"role": "assistant", "content": text}
        asked = {"text": text, "tools": tools, "tool_call_parser": self._tool_call_parser}
        parsed = await self._post("/parse_function_call", asked, rollout)
        calls = [
            {"type": "function", "function": {"name": call["name"], "arguments": call["parameters"]}}
            for call in parsed.get("calls") or []
        ]
        return {"role": "assistant", "content": parsed.get("normal_text"), "tool_calls": calls or None}

    async def _post(self, path: str, body: Body, rollout: str) -> Body:
        return self._client.decoded(await self._client.send(path, body, rollout=rollout, at_root=True))

    def _refused(self, what: str) -> Exception:
        return rollout_error("model_bad_request", f"{self._name}: {what}", server=self._name)


def _completion(body: Body, message: Body, reason: str | None, meta: Body) -> Body:
    core = str(meta.get("id") or "")
    for index, call in enumerate(message.get("tool_calls") or []):
        call["id"] = f"call_{core}_{index}"
    usage = {
        "prompt_tokens": meta.get("prompt_tokens"),
        "completion_tokens": meta.get("completion_tokens"),
        "prompt_tokens_details": {"cached_tokens": meta.get("cached_tokens")},
    }
    choice = {"index": 0, "message": message, "finish_reason": reason, "logprobs": None}
    return {"id": f"chatcmpl-{core}", "model": body["model"], "created": 0, "choices": [choice], "usage": usage}
