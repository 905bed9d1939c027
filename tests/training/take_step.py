"""Let one of TRL's trainers take one optimizer step on an export; runs in the trainers' environment.

    take_step.py sft|dpo|kto EXPORT MODEL [policy]

With `policy`, dpo and kto count only the policy's tokens. Prints, as JSON: the loss, how many weights changed, how many
rows there were, what each is trained on as text (sft: the tokens with a label; dpo: chosen and rejected; kto:
completion), and of dpo and kto the texts that count in the loss.
"""

import json
import sys
import tempfile
from typing import Any

from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

from nemo_gym.training.policy_tokens import PolicyTokensCollator

TRAINERS = {"sft": (SFTConfig, SFTTrainer), "dpo": (DPOConfig, DPOTrainer), "kto": (KTOConfig, KTOTrainer)}


def dataset_of(path: str) -> Dataset:
    form = "parquet" if path.endswith(".parquet") else "json"
    return load_dataset(form, data_files=path, split="train")


def trained_on(kind: str, row: dict[str, Any], decode: Any) -> Any:
    if kind == "sft":
        return decode([token for token in row["labels"] if token != -100])
    if kind == "dpo":
        return [decode(row["chosen_ids"]), decode(row["rejected_ids"])]
    return decode(row["completion_ids"])


def counted(trainer: Any, decode: Any) -> list[str]:
    """What is in the loss, in order: for KTO also the completions by which the KL divergence is estimated."""
    texts = []
    for batch in trainer.get_train_dataloader():
        for prefix in [prefix for prefix in ("", "KL_") if f"{prefix}completion_mask" in batch]:
            pairs = zip(batch[f"{prefix}input_ids"], batch[f"{prefix}completion_mask"], strict=True)
            texts += [decode(ids[mask.bool()]) for ids, mask in pairs]
    return sorted(texts)


def take_step(kind: str, path: str, model_folder: str, loss_on: str = "completion") -> dict[str, Any]:
    dataset = dataset_of(path)
    model, tokenizer = (each.from_pretrained(model_folder) for each in (AutoModelForCausalLM, AutoTokenizer))
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    config, trainer_class = TRAINERS[kind]
    options = {"assistant_only_loss": True} if kind == "sft" else {}
    with tempfile.TemporaryDirectory() as folder:
        arguments = config(
            output_dir=folder,
            max_steps=1,
            per_device_train_batch_size=2,
            learning_rate=0.1,
            max_length=4096,
            report_to=[],
            save_strategy="no",
            use_cpu=True,
            bf16=False,
            remove_unused_columns=loss_on != "policy",
            **options,
        )
        trainer = trainer_class(model=model, args=arguments, train_dataset=dataset, processing_class=tokenizer)
        if loss_on == "policy":
            trainer.data_collator = PolicyTokensCollator(trainer.data_collator, tokenizer)
        loss = trainer.train().training_loss
        in_loss = [] if kind == "sft" else counted(trainer, tokenizer.decode)
    changed = sum(not value.equal(before[name]) for name, value in model.named_parameters())
    rows = [trained_on(kind, row, tokenizer.decode) for row in trainer.train_dataset]
    return {"loss": loss, "changed": changed, "rows": len(dataset), "trained_on": rows, "counted": in_loss}


if __name__ == "__main__":
    print(json.dumps(take_step(*sys.argv[1:])))
