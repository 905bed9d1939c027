"""A model's chat template, rendered here: for engines that take token ids but render no messages for others.

Source of the environment: transformers' documentation, "Chat templates": Jinja with trim_blocks and lstrip_blocks, the
function `raise_exception`, and the filter `tojson` without HTML escapes.
"""

import json
from pathlib import Path
from typing import Any

from nemo_gym.config.errors import ConfigError, Mistake
from nemo_gym.server_utils import rollout_error
from nemo_gym.wire.json_object import JsonObject
from responses_api_models.vllm_model.template_check import leaves_tools_out

_ANSWER = "<the answer stands here>"


class ChatTemplate:
    """Renders messages to a prompt.

    Args:
        path: The template, or a `tokenizer_config.json` that has it under `chat_template`.
        server: The model server, for errors.

    Raises:
        ConfigError: It can't be read or isn't a template, or Jinja isn't installed.
    """

    def __init__(self, path: str, server: str) -> None:
        try:
            from jinja2.exceptions import TemplateError
            from jinja2.sandbox import ImmutableSandboxedEnvironment
        except ImportError as error:
            what = f"{server}: chat_template needs Jinja, which isn't installed"
            raise ConfigError(Mistake(what, fix="pip install 'nemo-gym[sglang]'")) from error
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        environment.filters["tojson"] = _to_json
        environment.globals["raise_exception"] = _refuse
        self._error = TemplateError
        self._server = server
        self._shows_tools = False  # not looked yet
        try:
            self._template = environment.from_string(_read(path))
        except (OSError, ValueError, KeyError, TemplateError) as error:
            what = f"{server}.chat_template: {path} isn't a chat template that can be read: {error}"
            raise ConfigError(Mistake(what, fix="name a .jinja file, or the model's tokenizer_config.json")) from error

    def render(self, body: JsonObject) -> str:
        """Return the prompt of a chat request; raises RolloutError `model_bad_request` when the template refuses it."""
        values = {**body.get("chat_template_kwargs", {}), "messages": _decoded_arguments(body["messages"])}
        values["add_generation_prompt"] = True
        tools = body.get("tools")
        try:
            prompt = self._template.render(**values, tools=tools)
            if tools and not self._shows_tools:
                self._shows_tools = prompt != self._template.render(**values, tools=None)
        except (self._error, TypeError) as error:
            reason = f"{self._server}: the chat template can't render this conversation: {error}"
            raise rollout_error("model_bad_request", reason, server=self._server) from error
        if tools and not self._shows_tools:
            raise leaves_tools_out(self._server, "give chat_template a template that knows tools")
        return prompt

    def after_answer(self, body: JsonObject, answer_index: int) -> str:
        """Return what the template writes behind the answer at that index. Raises like `render`."""
        messages = list(body["messages"])
        messages[answer_index] = {"role": "assistant", "content": _ANSWER}
        _, answer, after = self.render({**body, "messages": messages}).rpartition(_ANSWER)
        if not answer:
            reason = (
                f"{self._server}: the chat template leaves earlier answers out, so no prompt can continue from them"
            )
            raise rollout_error("token_data_invalid", reason, server=self._server)
        return after


def _read(path: str) -> str:
    text = Path(path).read_text()
    return str(json.loads(text)["chat_template"]) if path.endswith(".json") else text


def _decoded_arguments(messages: list[Any]) -> list[Any]:
    """Templates write the arguments of calls as an object, while the API has them as text."""
    return [
        {**m, "tool_calls": [_decoded_call(c) for c in m["tool_calls"]]} if m.get("tool_calls") else m for m in messages
    ]


def _decoded_call(call: JsonObject) -> JsonObject:
    function = call.get("function") or {}
    try:
        return {**call, "function": {**function, "arguments": json.loads(function["arguments"])}}
    except (KeyError, TypeError, ValueError):
        return call


def _to_json(value: Any, ensure_ascii: bool = False, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent)


def _refuse(message: str) -> None:
    from jinja2.exceptions import TemplateError

    raise TemplateError(message)
