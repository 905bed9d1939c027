"""Let one of TRL's trainers take one optimiser step on an export; runs in the trainers' environment.

    take_step.py sft|dpo|kto EXPORT MODEL

Prints, as JSON: the loss, how many weights changed, how many rows there were, and what each is trained on as text
(sft: the tokens with a label; dpo: chosen and rejected; kto: completion).
"""

import json
import sys
import tempfile
from typing import Any

from datasets import Dataset, load_dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer, SFTConfig, SFTTrainer

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


def take_step(kind: str, path: str, model_folder: str) -> dict[str, Any]:
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
            **options,
        )
        trainer = trainer_class(model=model, args=arguments, train_dataset=dataset, processing_class=tokenizer)
        loss = trainer.train().training_loss
    changed = sum(not value.equal(before[name]) for name, value in model.named_parameters())
    rows = [trained_on(kind, row, tokenizer.decode) for row in trainer.train_dataset]
    return {"loss": loss, "changed": changed, "rows": len(dataset), "trained_on": rows}


if __name__ == "__main__":
    print(json.dumps(take_step(*sys.argv[1:])))
