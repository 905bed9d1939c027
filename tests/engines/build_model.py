"""Turn the GGUF weights into the model folders that engines load; run by the engines' own Python.

    python build_model.py WEIGHTS.gguf FOLDER

FOLDER/plain has the tokenizer as it comes. FOLDER/thinking has the same weights, and a tokenizer in which two special
tokens that the model never uses are named <think> and </think>: reasoning parsers look for these in the vocabulary.
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, LlamaForCausalLM

TEMPLATE = Path(__file__).with_name("chat_template.jinja")
THINKING = {"<repo_name>": "<think>", "<reponame>": "</think>"}
# How `transformers serve` finds the parts of an answer; without it tool calls stay text.
RESPONSE_TEMPLATE = {
    "defaults": {"role": "assistant"},
    "start_anchor": "<|im_start|>assistant\n",
    "fields": {
        "tool_calls": {
            "open_pattern": r"\s*<tool_call>",
            "close": "</tool_call>",
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close_pattern": r"\s*<\|im_end\|>", "content": "text"},
    },
}
NUM_PARAMETERS = 134_515_008


def build(weights: Path, folder: Path) -> None:
    """Write both model folders.

    Raises:
        ValueError: The weights aren't those of SmolLM2-135M.
    """
    plain, thinking = folder / "plain", folder / "thinking"
    source = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    config = AutoConfig.from_pretrained(weights.parent, gguf_file=weights.name)
    model = LlamaForCausalLM(config)
    model.load_state_dict({name: tensor.float() for name, tensor in source.state_dict().items()})
    num_parameters = sum(parameter.numel() for parameter in model.parameters())
    if num_parameters != NUM_PARAMETERS:
        raise ValueError(f"{weights.name} has {num_parameters:,} parameters, expected {NUM_PARAMETERS:,}")
    model.to(torch.bfloat16).save_pretrained(plain)
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    tokenizer.chat_template = TEMPLATE.read_text()
    tokenizer.response_template = RESPONSE_TEMPLATE
    tokenizer.save_pretrained(plain)
    thinking.mkdir(exist_ok=True)
    for path in plain.iterdir():
        target = thinking / path.name
        target.unlink(missing_ok=True)
        target.hardlink_to(path)
    (thinking / "tokenizer.json").unlink()  # it was a link: the other folder's must stay as it is
    (thinking / "tokenizer.json").write_text(_with_thinking_tokens((plain / "tokenizer.json").read_text()))


def _with_thinking_tokens(text: str) -> str:
    for old, new in THINKING.items():
        text = text.replace(json.dumps(old), json.dumps(new))
    tokenizer = json.loads(text)
    for token in tokenizer["added_tokens"]:
        # Special tokens are left out of the text that reasoning parsers read.
        token["special"] = token["special"] and token["content"] not in THINKING.values()
    return json.dumps(tokenizer, ensure_ascii=False)


if __name__ == "__main__":
    build(Path(sys.argv[1]), Path(sys.argv[2]))
